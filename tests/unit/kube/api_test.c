/* tests/unit/kube/api_test.c - calls and watches against a scripted server
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "base/log.h"
#include "base/own.h"
#include "folder.h"
#include "http_server.h"
#include "kube/api.h"
#include "kube/credentials.h"
#include "kube/server_url.h"
#include "net/transfers.h"

#define EVENTS_MAX 1024

struct bench {
    struct loop *loop;
    struct transfers *transfers;
    struct http_server *server;
    struct api *api;
    struct folder folder;
    /* Answers request number n (from 0, over all connections); false: close the
     * connection. */
    bool (*answer)(int fd, const char *request, unsigned n);
    atomic_uint requests;
    char events[EVENTS_MAX]; /* "+a ~a -a(uid) =" */
};

static void serve(int fd, unsigned nth, void *owner)
{
    struct bench *b = owner;
    char request[REQUEST_MAX];
    (void)nth;
    while (http_request(fd, request))
        if (!b->answer(fd, request, atomic_fetch_add(&b->requests, 1)))
            return;
}

static struct kube_target *target_of(struct bench *b, bool token_file)
{
    struct kube_target *t = xcalloc(1, sizeof(*t));
    char url[64];

    snprintf(url, sizeof(url), "http://127.0.0.1:%u/prefix", http_server_port(b->server));
    assert_int_equal(server_url_set(t, url, NULL), OK);
    if (token_file)
        t->token_file = xstrdup(folder_put(&b->folder, "token", "one\n"));
    return t;
}

static void bench_open(struct bench *b, bool token_file,
                       bool (*answer)(int fd, const char *request, unsigned n))
{
    *b = (struct bench){ .answer = answer };
    folder_create(&b->folder);
    b->loop = loop_create();
    b->transfers = transfers_create(b->loop);
    b->server = http_server_create(serve, b);
    b->api = api_create(b->loop, b->transfers, target_of(b, token_file), NULL);
}

static void bench_close(struct bench *b)
{
    api_destroy(b->api);
    transfers_destroy(b->transfers);
    http_server_destroy(b->server);
    loop_destroy(b->loop);
    folder_destroy(&b->folder);
}

static const char *text_at(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void note(struct bench *b, const char *format, const char *name, const char *uid)
{
    size_t used = strlen(b->events);
    snprintf(b->events + used, sizeof(b->events) - used, format, name, uid);
}

static void on_object(void *owner, json_t *object)
{
    struct bench *b = owner;
    note(b, "%s ", text_at(json_object_get(object, "metadata"), "name"), "");
}

static void on_event(void *owner, enum api_event event, json_t *object)
{
    struct bench *b = owner;
    json_t *metadata = json_object_get(object, "metadata");
    static const char *const formats[] = { [API_ADDED] = "+%s ",
                                           [API_MODIFIED] = "~%s ",
                                           [API_DELETED] = "-%s(%s) ",
                                           [API_SYNCED] = "= " };
    note(b, formats[event], text_at(metadata, "name"), text_at(metadata, "uid"));
}

#define PATIENCE 250

static void wait_for(struct bench *b, struct api_call *call)
{
    for (int turn = 0; call->result == ERR_AGAIN && turn < PATIENCE; turn++)
        loop_run_once(b->loop, 20);
}

static void wait_for_events(struct bench *b, const char *expected)
{
    for (int turn = 0; strcmp(b->events, expected) && turn < PATIENCE; turn++)
        loop_run_once(b->loop, 20);
    assert_string_equal(b->events, expected);
}

static bool contains(const char *request, const char *part)
{
    return strstr(request, part) != NULL;
}

static bool json(int fd, int status, const char *body)
{
    http_answer(fd, status, "Content-Type: application/json\r\n", body);
    return true;
}

#define STATUS(code, reason, message)                                                    \
    "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":"     \
    "\"" message "\",\"reason\":\"" reason "\",\"code\":" #code "}"

static bool has_one_service(int fd, const char *request, unsigned n)
{
    (void)n;
    if (!contains(request,
                  "GET /prefix/api/v1/namespaces/shop/services/web HTTP/1.1\r\n") ||
        !contains(request, "\r\nAccept: application/json\r\n") ||
        !contains(request, "\r\nUser-Agent: kube-tunnel/"))
        return json(fd, 404, STATUS(404, "NotFound", "services \\\"webs\\\" not found"));
    return json(fd, 200, "{\"kind\":\"Service\",\"metadata\":{\"name\":\"web\"}}");
}

static void a_get_returns_an_object_or_the_reason_of_the_server(void **state)
{
    (void)state;
    struct bench b;
    struct api_call call = { .on_object = on_object, .owner = &b };
    bench_open(&b, false, has_one_service);

    api_get(b.api, &call, "/api/v1/namespaces/shop/services/web", 5000);
    wait_for(&b, &call);
    assert_int_equal(call.result, OK);
    assert_string_equal(b.events, "web ");
    api_call_finish(&call);

    api_get(b.api, &call, "/api/v1/namespaces/shop/services/webs", 5000);
    wait_for(&b, &call);
    assert_int_equal(call.result, ERR_NOT_FOUND);
    assert_int_equal(call.error.code, ERR_NOT_FOUND);
    assert_int_equal(call.error.status, 404);
    assert_true(call.error.is_status);
    assert_string_equal(call.error.why.text, "services \"webs\" not found");
    api_call_finish(&call);
    api_call_finish(&call);
    bench_close(&b);
}

static bool echoes_reviews(int fd, const char *request, unsigned n)
{
    (void)n;
    if (!contains(request, "POST /prefix/apis/x HTTP/1.1\r\n") ||
        !contains(request, "\r\nContent-Type: application/json\r\n"))
        return json(fd, 400, "");
    return json(fd, 201, strstr(request, "\r\n\r\n") + 4);
}

static void a_review_is_posted(void **state)
{
    (void)state;
    struct bench b;
    struct api_call call = { .on_object = on_object, .owner = &b };
    bench_open(&b, false, echoes_reviews);

    api_post(b.api, &call, "/apis/x", "{\"metadata\":{\"name\":\"review\"}}", 5000);
    wait_for(&b, &call);
    assert_int_equal(call.result, OK);
    assert_string_equal(b.events, "review ");
    api_call_finish(&call);
    bench_close(&b);
}

#define ITEM(name, uid)                                                                  \
    "{\"metadata\":{\"namespace\":\"n\",\"name\":\"" name "\",\"uid\":\"" uid "\"}}"
#define LIST(metadata, items) "{\"metadata\":{" metadata "},\"items\":[" items "]}"

static bool has_pages(int fd, const char *request, unsigned n)
{
    (void)n;
    if (!contains(request, "?labelSelector=app%3Dweb%2Ctier%20in%20%28a%29&limit=500"))
        return json(fd, 400, "");
    if (contains(request, "&continue=a%2Fb"))
        return json(fd, 200, LIST("\"resourceVersion\":\"7\"", ITEM("c", "3")));
    return json(fd, 200, LIST("\"continue\":\"a/b\"", ITEM("a", "1") "," ITEM("b", "2")));
}

static void lists_page_by_page(void **state)
{
    (void)state;
    struct bench b;
    struct api_call call = { .on_object = on_object, .owner = &b };
    bench_open(&b, false, has_pages);

    api_list(b.api, &call, "/api/v1/pods", "app=web,tier in (a)", 5000);
    wait_for(&b, &call);
    assert_int_equal(call.result, OK);
    assert_string_equal(b.events, "a b c ");
    api_call_finish(&call);
    bench_close(&b);
}

/* Kubernetes does not check the content of an annotation. */
static bool has_a_nul(int fd, const char *request, unsigned n)
{
    (void)request;
    (void)n;
    return json(fd, 200,
                LIST("", "{\"metadata\":{\"name\":\"a\",\"uid\":\"1\","
                         "\"annotations\":{\"x\":\"a\\u0000b\"}}}"));
}

static void a_nul_in_a_text_is_accepted(void **state)
{
    (void)state;
    struct bench b;
    struct api_call call = { .on_object = on_object, .owner = &b };
    bench_open(&b, false, has_a_nul);

    api_list(b.api, &call, "/api/v1/pods", NULL, 5000);
    wait_for(&b, &call);
    assert_int_equal(call.result, OK);
    assert_string_equal(b.events, "a ");
    api_call_finish(&call);
    bench_close(&b);
}

static bool loses_its_place(int fd, const char *request, unsigned n)
{
    (void)n;
    if (contains(request, "continue="))
        return json(fd, 410, STATUS(410, "Expired", "too old"));
    if (contains(request, "limit="))
        return json(fd, 200, LIST("\"continue\":\"x\"", ITEM("a", "1")));
    return json(fd, 200, LIST("", ITEM("a", "1") "," ITEM("b", "2")));
}

static void an_expired_list_is_repeated_without_pages(void **state)
{
    (void)state;
    struct bench b;
    struct api_call call = { .on_object = on_object, .owner = &b };
    bench_open(&b, false, loses_its_place);

    api_list(b.api, &call, "/api/v1/pods", NULL, 5000);
    wait_for(&b, &call);
    assert_int_equal(call.result, OK);
    assert_string_equal(b.events, "a a b ");
    api_call_finish(&call);
    bench_close(&b);
}

static bool wants_the_new_token(int fd, const char *request, unsigned n)
{
    (void)n;
    if (contains(request, "\r\nAuthorization: Bearer two\r\n"))
        return json(fd, 200, ITEM("in", "1"));
    return json(fd, 401, STATUS(401, "Unauthorized", "Unauthorized"));
}

static void expect_token(struct bench *b, const char *field)
{
    struct credentials_want want = { 0 };
    struct credential *got = NULL;
    struct diag why;

    assert_int_equal(credentials_get(api_credentials(b->api), &want, &got, &why), OK);
    assert_string_equal(got->fields[0], field);
    credential_unref(got);
}

static void a_401_causes_one_retry_with_the_replaced_token(void **state)
{
    (void)state;
    struct bench b;
    struct api_call call = { .on_object = on_object, .owner = &b };
    bench_open(&b, true, wants_the_new_token);

    expect_token(&b, "Authorization: Bearer one");
    folder_put(&b.folder, "token", "two");
    expect_token(&b, "Authorization: Bearer one");
    api_get(b.api, &call, "/x", 5000);
    wait_for(&b, &call);
    assert_int_equal(call.result, OK);
    assert_int_equal(b.requests, 2);
    api_call_finish(&call);

    folder_put(&b.folder, "token", "three\r\nX-Evil: 1");
    api_get(b.api, &call, "/x", 5000);
    wait_for(&b, &call);
    assert_int_equal(call.result, OK);
    expect_token(&b, "Authorization: Bearer two");
    api_call_finish(&call);

    folder_put(&b.folder, "token", "four");
    api_get(b.api, &call, "/x", 5000);
    wait_for(&b, &call);
    assert_int_equal(call.result, OK);
    api_call_finish(&call);
    bench_close(&b);
}

static bool is_never_content(int fd, const char *request, unsigned n)
{
    (void)request;
    (void)n;
    return json(fd, 401, STATUS(401, "Unauthorized", "Unauthorized"));
}

static void the_second_401_is_final(void **state)
{
    (void)state;
    struct bench b;
    struct api_call call = { .on_object = on_object, .owner = &b };
    bench_open(&b, true, is_never_content);

    api_get(b.api, &call, "/x", 5000);
    wait_for(&b, &call);
    assert_int_equal(call.result, ERR_UNAUTHORIZED);
    assert_int_equal(b.requests, 2);
    api_call_finish(&call);
    bench_close(&b);
}

static bool answers_badly(int fd, const char *request, unsigned n)
{
    (void)n;
    if (contains(request, "/html"))
        return json(fd, 200, "<html>log in</html>");
    if (contains(request, "/cut"))
        return json(fd, 200, "{\"metadata\":{},\"items\":[" ITEM("a", "1"));
    if (contains(request, "/plain"))
        return json(fd, 502, "bad gateway\nmore\n");
    if (contains(request, "/empty"))
        return json(fd, 500, "");
    return false;
}

static void an_error_names_what_is_wrong_with_an_answer(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool list;
        enum err code;
        const char *expected;
    } cases[] = {
        /* clang-format off */
        { "/html",  false, ERR_PROTO,  "GET /html: the answer is HTML, not JSON" },
        { "/html",  true,  ERR_PROTO,  "the answer is HTML, not JSON" },
        { "/cut",   true,  ERR_RESET,  "truncated" },
        { "/plain", false, ERR_SERVER, "the API server answered 502: bad gateway" },
        { "/empty", true,  ERR_SERVER, "the API server answered 500 without a reason" },
        { "/none",  false, ERR_RESET,    "127.0.0.1:" },
    }; /* clang-format on */
    struct bench b;
    bench_open(&b, false, answers_badly);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct api_call call = { .on_object = on_object, .owner = &b };
        if (cases[i].list)
            api_list(b.api, &call, cases[i].path, NULL, 5000);
        else
            api_get(b.api, &call, cases[i].path, 5000);
        wait_for(&b, &call);
        if (call.result != cases[i].code || call.error.code != cases[i].code ||
            !strstr(call.error.why.text, cases[i].expected))
            fail_msg("%s: %s: %s", cases[i].path, err_text(call.result),
                     call.error.why.text);
        api_call_finish(&call);
    }
    bench_close(&b);
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void a_call_may_be_cancelled_at_any_time(void **state)
{
    (void)state;
    struct bench b;
    unsigned before = open_descriptors();

    for (int turns = 0; turns < 6; turns++) {
        struct api_call call = { .on_object = on_object, .owner = &b };
        bench_open(&b, false, has_pages);
        api_list(b.api, &call, "/api/v1/pods", "app=web,tier in (a)", 5000);
        struct api_watch *w = api_watch_open(b.api, "/api/v1/pods", on_event, &b, NULL);
        for (int i = 0; i < turns; i++)
            loop_run_once(b.loop, 2);
        api_call_finish(&call);
        api_watch_close(w);
        size_t received = strlen(b.events);
        loop_run_once(b.loop, 2);
        bench_close(&b);
        assert_int_equal(strlen(b.events), received);
        assert_int_equal(open_descriptors(), before);
    }
}

static bool send_stream_head(int fd)
{
    http_write(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    return true;
}

#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define VERSIONED(name, uid, version)                                                    \
    "{\"metadata\":{\"namespace\":\"n\",\"name\":\"" name "\",\"uid\":\"" uid            \
    "\",\"resourceVersion\":\"" version "\"}}"
#define BOOKMARK(version)                                                                \
    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" version    \
    "\"}}}\n"

/* Keep the connection until the client has gone. */
static bool hold(int fd)
{
    char request[REQUEST_MAX];
    http_request(fd, request);
    return false;
}

static bool has_news(int fd, const char *request, unsigned n)
{
    if (n == 0)
        return json(
            fd, 200,
            LIST("\"resourceVersion\":\"10\"", ITEM("a", "1") "," ITEM("b", "2")));
    send_stream_head(fd);
    if (n == 1 && contains(request, "watch=1&resourceVersion=10&allowWatchBookmarks=true&"
                                    "timeoutSeconds=")) {
        http_chunk(fd, EVENT("ADDED", VERSIONED("c", "3", "11")) "{\"type\":\"MODI");
        http_chunk(fd, "FIED\",\"object\":" VERSIONED("a", "1", "12") "}\n");
        http_chunk(fd, EVENT("DELETED", VERSIONED("b", "2", "13")) BOOKMARK("20"));
        http_write(fd, "0\r\n\r\n");
        return true;
    }
    if (n == 2 && contains(request, "resourceVersion=20&"))
        http_chunk(fd, EVENT("ADDED", VERSIONED("d", "4", "21")));
    return hold(fd);
}

static void lists_then_watches_then_goes_on_from_the_bookmark(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, false, has_news);

    struct api_watch *w = api_watch_open(b.api, "/api/v1/pods", on_event, &b, NULL);
    assert_false(api_watch_state(w)->synced);
    wait_for_events(&b, "+a +b = +c ~a -b(2) +d ");
    assert_true(api_watch_state(w)->synced);
    assert_true(api_watch_state(w)->live);
    api_watch_close(w);
    bench_close(&b);
}

static bool forgets(int fd, const char *request, unsigned n)
{
    if (n == 0)
        return json(fd, 200,
                    LIST("\"resourceVersion\":\"1\"",
                         ITEM("a", "1") "," ITEM("b", "2") "," ITEM("c", "3")));
    if (n == 1) {
        send_stream_head(fd);
        http_chunk(fd,
                   EVENT("ERROR", STATUS(410, "Expired", "too old resource version")));
        http_write(fd, "0\r\n\r\n");
        return true;
    }
    if (n == 2)
        return json(fd, 200,
                    LIST("\"resourceVersion\":\"5\"", ITEM("a", "1") "," ITEM("b", "9")));
    if (n == 3 && contains(request, "resourceVersion=5&")) {
        send_stream_head(fd);
        http_chunk(fd, BOOKMARK("6"));
        http_write(fd, "0\r\n\r\n");
        return true;
    }
    if (n == 4 && contains(request, "resourceVersion=6&"))
        return json(fd, 410, STATUS(410, "Gone", "gone"));
    if (n == 5)
        return json(fd, 200, LIST("\"resourceVersion\":\"8\"", ""));
    send_stream_head(fd);
    return hold(fd);
}

/* 410 in an event and as a status; objects that were deleted meanwhile are reported. */
static void a_list_after_410_reports_deleted_objects(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, false, forgets);

    struct api_watch *w = api_watch_open(b.api, "/api/v1/pods", on_event, &b, NULL);
    wait_for_events(&b, "+a +b +c = ~a -b() +b -c() = ");
    for (int turn = 0; atomic_load(&b.requests) < 7 && turn < PATIENCE; turn++)
        loop_run_once(b.loop, 20);
    loop_run_once(b.loop, 20);
    const char *later = strchr(strstr(b.events, "-c()"), '=') + 1;
    assert_true(strstr(later, "-a()") && strstr(later, "-b()"));
    assert_string_equal(b.events + strlen(b.events) - 2, "= ");
    api_watch_close(w);
    bench_close(&b);
}

/* true: the server answers 410 instead. */
static atomic_bool forgotten;

static bool has_no_news(int fd, const char *request, unsigned n)
{
    (void)n;
    if (!contains(request, "watch=1"))
        return json(fd, 200, LIST("\"resourceVersion\":\"1\"", ITEM("a", "1")));
    send_stream_head(fd);
    http_chunk(fd, BOOKMARK("1"));
    if (atomic_load(&forgotten))
        http_chunk(fd, EVENT("ERROR", STATUS(410, "Expired", "too old")));
    http_write(fd, "0\r\n\r\n");
    return true;
}

/* A bookmark with the known version is no progress. */
static void a_watch_that_ends_without_news_is_not_repeated_at_once(void **state)
{
    (void)state;

    for (int i = 0; i < 2; i++) {
        struct bench b;
        atomic_store(&forgotten, i == 1);
        bench_open(&b, false, has_no_news);
        uint64_t began = loop_sched(b.loop)->now;

        struct api_watch *w = api_watch_open(b.api, "/api/v1/pods", on_event, &b, NULL);
        while (loop_sched(b.loop)->now - began < 700)
            loop_run_once(b.loop, 20);
        assert_in_range(atomic_load(&b.requests), 2, 5);
        api_watch_close(w);
        bench_close(&b);
    }
}

static bool fails_twice(int fd, const char *request, unsigned n)
{
    (void)request;
    if (n == 0) {
        http_answer(fd, 429, "Retry-After: 1\r\n", "slow down");
        return true;
    }
    if (n == 1)
        return json(fd, 200, LIST("\"resourceVersion\":\"1\"", ITEM("a", "1")));
    if (n == 2)
        return json(fd, 500, "");
    send_stream_head(fd);
    return hold(fd);
}

static void failures_are_backed_off_until_a_success(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, false, fails_twice);
    uint64_t began = loop_sched(b.loop)->now;

    struct api_watch *w = api_watch_open(b.api, "/api/v1/pods", on_event, &b, NULL);
    for (int turn = 0; !api_watch_state(w)->error.code && turn < PATIENCE; turn++)
        loop_run_once(b.loop, 20);
    assert_int_equal(api_watch_state(w)->error.code, ERR_THROTTLED);
    assert_false(api_watch_state(w)->live);
    wait_for_events(&b, "+a = ");
    assert_true(loop_sched(b.loop)->now - began >= 1000);
    for (int turn = 0; !api_watch_state(w)->live && turn < PATIENCE; turn++)
        loop_run_once(b.loop, 20);
    assert_true(api_watch_state(w)->live);
    assert_int_equal(api_watch_state(w)->error.code, OK);
    assert_true(loop_sched(b.loop)->now - began >= 1000 + 1600);
    assert_int_equal(b.requests, 4);
    api_watch_close(w);
    bench_close(&b);
}

/* The second page is refused once; the first one states how many objects remain. */
static bool throttles_the_second_page(int fd, const char *request, unsigned n)
{
    if (n == 0)
        return json(fd, 200,
                    LIST("\"resourceVersion\":\"5\",\"continue\":\"next\","
                         "\"remainingItemCount\":1",
                         ITEM("a", "1")));
    if (n == 1 && contains(request, "continue=next")) {
        http_answer(fd, 429, "Retry-After: 1\r\n", "slow down");
        return true;
    }
    if (n == 2 && contains(request, "continue=next"))
        return json(fd, 200, LIST("\"resourceVersion\":\"5\"", ITEM("b", "2")));
    if (!contains(request, "watch=1"))
        return json(fd, 500, "");
    send_stream_head(fd);
    return hold(fd);
}

static void a_page_that_is_throttled_is_read_again_and_not_the_whole_list(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, false, throttles_the_second_page);
    uint64_t began = loop_sched(b.loop)->now;

    struct api_watch *w = api_watch_open(b.api, "/api/v1/pods", on_event, &b, NULL);
    for (int turn = 0; !api_watch_state(w)->live && turn < PATIENCE; turn++)
        loop_run_once(b.loop, 20);
    assert_true(api_watch_state(w)->live);
    assert_string_equal(b.events, "+a +b = ");
    assert_int_equal(b.requests, 4);
    assert_true(loop_sched(b.loop)->now - began >= 1000);
    api_watch_close(w);
    bench_close(&b);
}

static void a_watch_shows_the_size_of_its_list_after_one_page(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, false, throttles_the_second_page);

    struct api_watch *w = api_watch_open(b.api, "/api/v1/pods", on_event, &b, NULL);
    wait_for_events(&b, "+a ");
    assert_int_equal(api_watch_state(w)->objects, 1);
    assert_in_range(api_watch_state(w)->bytes, 10, 1000);
    assert_false(api_watch_state(w)->synced);
    api_watch_close(w);
    bench_close(&b);
}

static void a_throttled_call_waits_as_long_as_it_has_time(void **state)
{
    (void)state;
    struct bench b;
    struct api_call list = { .on_object = on_object, .owner = &b };
    bench_open(&b, false, throttles_the_second_page);

    api_list(b.api, &list, "/api/v1/pods", NULL, 5000);
    wait_for(&b, &list);
    assert_int_equal(list.result, OK);
    assert_string_equal(b.events, "a b ");
    assert_int_equal(b.requests, 3);
    api_call_finish(&list);

    atomic_store(&b.requests, 0);
    api_list(b.api, &list, "/api/v1/pods", NULL, 900);
    wait_for(&b, &list);
    assert_int_equal(list.result, ERR_THROTTLED);
    assert_int_equal(list.error.retry_after, 1);
    api_call_finish(&list);
    bench_close(&b);
}

static bool knows_no_such_version(int fd, const char *request, unsigned n)
{
    if (n == 0)
        return json(fd, 200, LIST("\"resourceVersion\":\"99\"", ITEM("a", "1")));
    if (contains(request, "resourceVersion=99&"))
        return json(fd, 504, STATUS(504, "Timeout", "Too large resource version"));
    if (contains(request, "limit="))
        return json(fd, 200, LIST("\"resourceVersion\":\"5\"", ITEM("b", "2")));
    send_stream_head(fd);
    return hold(fd);
}

/* As after a restore from a backup. */
static void lists_anew_when_its_version_is_refused_again(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, false, knows_no_such_version);

    struct api_watch *w = api_watch_open(b.api, "/api/v1/pods", on_event, &b, NULL);
    for (int turn = 0; !api_watch_state(w)->live && turn < 2 * PATIENCE; turn++)
        loop_run_once(b.loop, 20);
    assert_true(api_watch_state(w)->live);
    assert_string_equal(b.events, "+a = +b -a() = ");
    api_watch_close(w);
    bench_close(&b);
}

/* Advances the time of all timers at once, except libcurl's. */
static void pass_time(struct bench *b, uint64_t ms)
{
    struct sched *s = loop_sched(b->loop);
    s->now += ms;
    s->held -= ms;
}

static void wait_for_requests(struct bench *b, unsigned n)
{
    for (int turn = 0; atomic_load(&b->requests) < n && turn < PATIENCE; turn++)
        loop_run_once(b->loop, 20);
    loop_run_once(b->loop, 20);
    assert_int_equal(atomic_load(&b->requests), n);
}

static bool has_nothing_to_report(int fd, const char *request, unsigned n)
{
    if (n == 0)
        return json(fd, 200, LIST("\"resourceVersion\":\"10\"", ITEM("a", "1")));
    if (!contains(request, "watch=1&resourceVersion=10&"))
        return false;
    send_stream_head(fd);
    return hold(fd);
}

/* It sends no bookmark, as the version does not move, and does not end the watch either. */
static void silent_watch_is_followed_by_another_and_is_no_loss(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, false, has_nothing_to_report);

    struct api_watch *w = api_watch_open(b.api, "/api/v1/pods", on_event, &b, NULL);
    wait_for_requests(&b, 2);
    for (unsigned n = 2; n < 5; n++) {
        assert_true(api_watch_state(w)->live);
        pass_time(&b, 181000);
        wait_for_requests(&b, n + 1);
    }
    assert_true(api_watch_state(w)->live);
    assert_int_equal(api_watch_state(w)->error.code, OK);
    assert_string_equal(b.events, "+a = "); /* no new list */
    api_watch_close(w);
    bench_close(&b);
}

static bool cuts_off_the_first_watch(int fd, const char *request, unsigned n)
{
    if (n != 1)
        return has_nothing_to_report(fd, request, n);
    send_stream_head(fd);
    return false;
}

/* As a proxy does after a minute. */
static void watch_cut_off_while_silent_is_no_loss(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, false, cuts_off_the_first_watch);

    struct api_watch *w = api_watch_open(b.api, "/api/v1/pods", on_event, &b, NULL);
    for (int turn = 0; atomic_load(&b.requests) < 2 && turn < PATIENCE; turn++) {
        loop_run_once(b.loop, 20);
        pass_time(&b, 2000); /* it has lasted long enough */
    }
    for (int turn = 0; atomic_load(&b.requests) < 3 && turn < PATIENCE; turn++) {
        assert_int_equal(api_watch_state(w)->error.code, OK);
        loop_run_once(b.loop, 20);
    }
    wait_for_requests(&b, 3);
    assert_true(api_watch_state(w)->live);
    assert_string_equal(b.events, "+a = ");
    api_watch_close(w);
    bench_close(&b);
}

static atomic_ulong longest_s;

static bool notes_how_long(int fd, const char *request, unsigned n)
{
    static const char name[] = "timeoutSeconds=";
    const char *at = strstr(request, name);
    unsigned long seconds = at ? strtoul(at + strlen(name), NULL, 10) : 0;

    if (n > 0 && seconds == 0)
        seconds = ULONG_MAX; /* no limit at all */
    if (seconds > atomic_load(&longest_s))
        atomic_store(&longest_s, seconds);
    return has_nothing_to_report(fd, request, n);
}

static void server_is_requested_to_end_a_watch_before_silence_counts(void **state)
{
    (void)state;

    for (int i = 0; i < 20; i++) {
        struct bench b;
        bench_open(&b, false, notes_how_long);
        struct api_watch *w = api_watch_open(b.api, "/api/v1/pods", on_event, &b, NULL);
        wait_for_requests(&b, 2);
        api_watch_close(w);
        bench_close(&b);
    }
    assert_in_range(atomic_load(&longest_s), 60, 170);
}

static bool forbids(int fd, const char *request, unsigned n)
{
    (void)request;
    (void)n;
    return json(fd, 403, STATUS(403, "Forbidden", "pods is forbidden"));
}

static void a_forbidden_watch_is_reported(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, false, forbids);

    struct api_watch *w = api_watch_open(b.api, "/api/v1/pods", on_event, &b, NULL);
    for (int turn = 0; !api_watch_state(w)->error.code && turn < PATIENCE; turn++)
        loop_run_once(b.loop, 20);
    assert_int_equal(api_watch_state(w)->error.code, ERR_FORBIDDEN);
    assert_string_equal(api_watch_state(w)->error.why.text, "pods is forbidden");
    api_watch_close(w);
    bench_close(&b);
}

static void read_answer(struct api_error *e, int status, uint32_t retry_after,
                        const char *body)
{
    api_error_from_response(e, &(struct api_response){ .status = status,
                                                       .retry_after = retry_after,
                                                       .body = str_of(body) });
}

static void reads_a_status_from_any_answer(void **state)
{
    (void)state;
    struct api_error e;

    read_answer(&e, 429, 0,
                "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"code\":429,"
                "\"details\":{\"retryAfterSeconds\":3},\"reason\":\"Busy\"}");
    assert_int_equal(e.code, ERR_THROTTLED);
    assert_int_equal(e.retry_after, 3);
    assert_string_equal(e.why.text, "Busy");
    read_answer(&e, 404, 0, "");
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_false(e.is_status);
    read_answer(&e, 403, 9, "{\"kind\":\"Pod\"}");
    assert_false(e.is_status);
    assert_int_equal(e.retry_after, 9);
    read_answer(&e, 302, 0, NULL);
    assert_int_equal(e.code, ERR_PROTO);
    read_answer(&e, 503, 0, "\n <html><body>Sorry</body></html>");
    assert_int_equal(e.code, ERR_SERVER);
    assert_non_null(strstr(e.why.text, "it answered 503 with an HTML page"));
}

static void the_target_of_a_redirect_is_named(void **state)
{
    (void)state;
    struct api_error e;
    struct api_response answer = {
        .status = 302,
        .location = STR("https://u:secret@login.test/\x1b[2J?ticket=secret")
    };

    api_error_from_response(&e, &answer);
    assert_int_equal(e.code, ERR_PROTO);
    assert_non_null(strstr(e.why.text, "https://u:xxxxx@login.test/?[2J, which is not"));
    assert_null(strstr(e.why.text, "secret"));
}

static const struct api_limits tight = {
    .objects = 200, .bytes = 1 << 20, .calls_per_second = 1000, .calls_burst = 1000
};

/* A page without an object, and always another one. */
static bool has_no_last_page(int fd, const char *request, unsigned n)
{
    char page[128];
    (void)request;
    snprintf(page, sizeof(page), LIST("\"continue\":\"%u\"", ""), n);
    return json(fd, 200, page);
}

/* The list never ends: each page has objects with new names. */
static bool has_no_last_object(int fd, const char *request, unsigned n)
{
    char item[256];
    (void)request;
    send_stream_head(fd);
    http_chunk(fd, "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[");
    for (unsigned i = 0; i < 400; i++) {
        snprintf(item, sizeof(item), "%s{\"metadata\":{\"name\":\"o%u-%u\"}}",
                 i ? "," : "", n, i);
        http_chunk(fd, item);
    }
    return hold(fd);
}

static bool has_large_objects(int fd, const char *request, unsigned n)
{
    AUTO_FREE char *body = xmalloc(3 << 20);
    AUTO_FREE char *filler = xcalloc(1, 600001);
    (void)request;
    (void)n;
    memset(filler, 'x', 600000);
    snprintf(body, 3 << 20,
             LIST("", "{\"metadata\":{\"name\":\"a\"},\"x\":\"%s\"},"
                      "{\"metadata\":{\"name\":\"b\"},\"x\":\"%s\"}"),
             filler, filler);
    return json(fd, 200, body);
}

/* A name longer than any API server accepts, which the client would have to keep. */
static bool has_a_long_name(int fd, const char *request, unsigned n)
{
    char body[1024];
    (void)request;
    (void)n;
    snprintf(body, sizeof(body),
             LIST("\"resourceVersion\":\"1\"", "{\"metadata\":{\"name\":\"%0300d\"}}"),
             0);
    return json(fd, 200, body);
}

static void list_beyond_the_limits_fails(void **state)
{
    (void)state;
    static const struct {
        bool (*answer)(int fd, const char *request, unsigned n);
        const char *why;
    } cases[] = {
        { has_no_last_page, "more pages than max-objects allows" },
        { has_no_last_object, "more objects than max-objects allows" },
        { has_large_objects, "more bytes than max-objects-size allows" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        struct api_call call = { .on_object = on_object, .owner = &b };
        bench_open(&b, false, cases[i].answer);
        api_limit(b.api, &tight);
        api_list(b.api, &call, "/api/v1/pods", NULL, 20000);
        wait_for(&b, &call);
        assert_int_equal(call.result, ERR_LIMIT);
        assert_non_null(strstr(call.error.why.text, cases[i].why));
        assert_true(atomic_load(&b.requests) <= 4);
        api_call_finish(&call);
        bench_close(&b);
    }
}

static void count_events(void *owner, enum api_event event, json_t *object)
{
    long *held = owner;
    (void)object;
    *held += event == API_ADDED ? 1 : event == API_DELETED ? -1 : 0;
}

/* The list exceeds the limits at each attempt. */
static void watch_beyond_the_limits_fails_and_backs_off(void **state)
{
    (void)state;
    static const struct {
        bool (*answer)(int fd, const char *request, unsigned n);
        enum err error;
    } cases[] = {
        { has_no_last_page, ERR_LIMIT },
        { has_no_last_object, ERR_LIMIT },
        { has_a_long_name, ERR_PROTO },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        long held = 0;
        bench_open(&b, false, cases[i].answer);
        api_limit(b.api, &tight);
        struct api_watch *w =
            api_watch_open(b.api, "/api/v1/pods", count_events, &held, NULL);
        const struct api_watch_state *shown = api_watch_state(w);
        for (int turn = 0; !shown->error.code && turn < PATIENCE; turn++)
            loop_run_once(b.loop, 20);
        assert_int_equal(shown->error.code, cases[i].error);
        assert_false(shown->synced);
        unsigned after_first = atomic_load(&b.requests);
        for (int turn = 0; turn < 20; turn++)
            loop_run_once(b.loop, 20);
        assert_int_equal(atomic_load(&b.requests), after_first);
        assert_in_range(held, 0, 200);
        api_watch_close(w);
        bench_close(&b);
    }
}

static void failed_lists_hold_no_memory(void **state)
{
    (void)state;
    struct bench b;
    long held = 0, most = 0;
    bench_open(&b, false, has_no_last_object);
    api_limit(b.api, &tight);

    struct api_watch *w =
        api_watch_open(b.api, "/api/v1/pods", count_events, &held, NULL);
    for (int turns_left = 5 * PATIENCE; turns_left > 0; turns_left--) {
        loop_run_once(b.loop, 20);
        most = held > most ? held : most;
        if (atomic_load(&b.requests) == 3 && turns_left > 10)
            turns_left = 10; /* to read the third list */
    }
    assert_true(atomic_load(&b.requests) >= 3);
    assert_in_range(most, 200, 401);
    api_watch_close(w);
    bench_close(&b);
}

static bool is_there(int fd, const char *request, unsigned n)
{
    (void)request;
    (void)n;
    return json(fd, 200, ITEM("a", "1"));
}

#define CALLS 12

static void calls_beyond_the_burst_come_at_the_rate(void **state)
{
    (void)state;
    const struct api_limits slow = {
        .objects = 200, .bytes = 1 << 20, .calls_per_second = 20, .calls_burst = 4
    };
    struct bench b;
    struct api_call calls[CALLS];
    bench_open(&b, false, is_there);
    api_limit(b.api, &slow);
    uint64_t began = loop_sched(b.loop)->now;

    for (size_t i = 0; i < CALLS; i++) {
        calls[i] = (struct api_call){ .on_object = on_object, .owner = &b };
        api_get(b.api, &calls[i], "/x", i == 5 ? 20 : 5000);
    }
    api_call_finish(&calls[4]); /* it was waiting, and is not sent */
    for (size_t i = 0; i < CALLS; i++)
        if (i != 4)
            wait_for(&b, &calls[i]);
    assert_true(loop_sched(b.loop)->now - began >= (CALLS - 2 - 4) * 50);
    assert_int_equal(calls[5].result, ERR_THROTTLED);
    assert_non_null(strstr(calls[5].error.why.text, "lookup-rate"));
    assert_int_equal(calls[CALLS - 1].result, OK);
    assert_int_equal(b.requests, CALLS - 2);
    for (size_t i = 0; i < CALLS; i++)
        api_call_finish(&calls[i]);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_returns_an_object_or_the_reason_of_the_server),
        cmocka_unit_test(a_review_is_posted),
        cmocka_unit_test(lists_page_by_page),
        cmocka_unit_test(a_nul_in_a_text_is_accepted),
        cmocka_unit_test(an_expired_list_is_repeated_without_pages),
        cmocka_unit_test(a_401_causes_one_retry_with_the_replaced_token),
        cmocka_unit_test(the_second_401_is_final),
        cmocka_unit_test(an_error_names_what_is_wrong_with_an_answer),
        cmocka_unit_test(a_call_may_be_cancelled_at_any_time),
        cmocka_unit_test(lists_then_watches_then_goes_on_from_the_bookmark),
        cmocka_unit_test(a_list_after_410_reports_deleted_objects),
        cmocka_unit_test(a_watch_that_ends_without_news_is_not_repeated_at_once),
        cmocka_unit_test(failures_are_backed_off_until_a_success),
        cmocka_unit_test(a_page_that_is_throttled_is_read_again_and_not_the_whole_list),
        cmocka_unit_test(a_watch_shows_the_size_of_its_list_after_one_page),
        cmocka_unit_test(a_throttled_call_waits_as_long_as_it_has_time),
        cmocka_unit_test(lists_anew_when_its_version_is_refused_again),
        cmocka_unit_test(silent_watch_is_followed_by_another_and_is_no_loss),
        cmocka_unit_test(watch_cut_off_while_silent_is_no_loss),
        cmocka_unit_test(server_is_requested_to_end_a_watch_before_silence_counts),
        cmocka_unit_test(a_forbidden_watch_is_reported),
        cmocka_unit_test(reads_a_status_from_any_answer),
        cmocka_unit_test(the_target_of_a_redirect_is_named),
        cmocka_unit_test(list_beyond_the_limits_fails),
        cmocka_unit_test(watch_beyond_the_limits_fails_and_backs_off),
        cmocka_unit_test(failed_lists_hold_no_memory),
        cmocka_unit_test(calls_beyond_the_burst_come_at_the_rate),
    };
    return cmocka_run_group_tests_name("kube/api", tests, NULL, NULL);
}
