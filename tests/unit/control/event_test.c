/* tests/unit/control/event_test.c - events as lines of JSON, their filters, and what is kept */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>

#include "base/own.h"
#include "control/event.h"
#include "control/history.h"
#include "route/name.h"

struct sample {
    struct http1_field fields[8];
    struct http1_head head;
    struct name name;
    struct request_event event;
};

#define HEAD                                                                             \
    "GET /a?token=1 HTTP/1.1\r\nHost: web.shop.localhost\r\nAuthorization: Bearer "      \
    "xyz\r\n"                                                                            \
    "Referer: http://x/?a=1\r\nConnection: close\r\n\r\n"

static struct sample *sample(void)
{
    static struct sample s;

    s = (struct sample){ 0 };
    name_parse(STR("web.shop.localhost"), STR("cluster.local"), &s.name);
    s.head = (struct http1_head){ .fields = s.fields, .room = ARRAY_LEN(s.fields) };
    assert_int_equal(http1_request_parse(HEAD, sizeof(HEAD) - 1, &s.head), OK);
    s.event = (struct request_event){
        .id = { .kind = 's', .number = 1, .sub = 2 },
        .client = "127.0.0.1",
        .listener = 8080,
        .request = &s.head,
        .host = STR("web.shop.localhost"),
        .path = STR("/a?token=1"),
        .name = &s.name,
        .status = 503,
        .times = { .total = 120, .pod = 100, .dial = 20 },
    };
    return &s;
}

static void filters_take_what_they_name(void **state)
{
    const struct request_event *e = &sample()->event;
    (void)state;

#define MATCHES(...) event_matches(e, &(struct reader_filter){ __VA_ARGS__ })
    assert_true(MATCHES(.name = NULL));
    assert_true(MATCHES(.name = "web"));
    assert_true(MATCHES(.name = "WEB.shop"));
    assert_true(MATCHES(.name = "web.shop.localhost"));
    assert_false(MATCHES(.name = "web.other"));
    assert_false(MATCHES(.name = "we"));
    assert_true(MATCHES(.status = 503));
    assert_false(MATCHES(.status = 502));
    assert_true(MATCHES(.class = 5));
    assert_false(MATCHES(.class = 4));
    assert_true(MATCHES(.slow_ms = 120));
    assert_false(MATCHES(.slow_ms = 121));
#undef MATCHES
}

static json_t *written(const struct request_event *e, const struct reader_filter *f)
{
    struct json_out o = { 0 };

    event_write(e, f, 1000000, &o);
    json_t *json = json_loadb(o.at, o.len, 0, NULL);
    json_out_finish(&o);
    assert_non_null(json);
    return json;
}

static const char *text(const json_t *json, const char *key)
{
    const char *found = json_string_value(json_object_get(json, key));
    return found ? found : "(none)";
}

static void credentials_and_queries_are_redacted(void **state)
{
    const struct reader_filter all = { .heads = true, .bodies = true, .queries = true };
    json_t *json = written(&sample()->event, &all);
    AUTO_FREE char *line = json_dumps(json, 0);
    (void)state;

    assert_string_equal(text(json, "id"), "s1.2");
    assert_string_equal(text(json, "path"), "/a?token=(redacted)");
    assert_null(strstr(line, "xyz"));
    assert_non_null(strstr(line, "http://x/?a=1"));
    json_decref(json);
    const struct reader_filter heads = { .heads = true };
    json = written(&sample()->event, &heads);
    AUTO_FREE char *less = json_dumps(json, 0);
    assert_null(strstr(less, "a=1"));
    json_decref(json);
}

static void bodies_lose_their_chunks_and_stay_readable(void **state)
{
    char chunks[] = "3\r\nab\xff\r\n2\r\ncd\r\n0\r\n\r\n", plain[] = "caf\xc3\xa9";
    struct body_copy request = { chunks, sizeof(chunks) - 1, false, true };
    struct body_copy response = { plain, sizeof(plain) - 1, true, false };
    const struct reader_filter bodies = { .bodies = true };
    struct sample *s = sample();
    (void)state;

    s->head.framing = BODY_CHUNKED;
    s->event.request_body = &request;
    s->event.response_body = &response;
    json_t *json = written(&s->event, &bodies);
    assert_string_equal(text(json_object_get(json, "requestBody"), "base64"), "YWL/Y2Q=");
    assert_string_equal(text(json_object_get(json, "responseBody"), "text"),
                        "caf\xc3\xa9");
    assert_true(
        json_is_true(json_object_get(json_object_get(json, "responseBody"), "cut")));
    json_decref(json);
}

static void assert_sent(const struct kept_request *k, const char *wanted)
{
    struct json_out o = { 0 };
    struct str method;

    assert_int_equal(history_write(k, &o, &method), OK);
    AUTO_FREE char *request = str_dup((struct str){ o.at, o.len });
    assert_string_equal(request, wanted);
    assert_int_equal(method.len, strcspn(wanted, " "));
    json_out_finish(&o);
}

static void a_request_without_fields_is_kept_whole(void **state)
{
    const char text[] = "GET /x HTTP/1.0\r\n\r\n";
    struct sample *s = sample();
    struct sched sched;
    struct history h;
    (void)state;

    sched_init(&sched, 1);
    history_init(&h, &sched);
    assert_int_equal(http1_request_parse(text, sizeof(text) - 1, &s->head), OK);
    s->event.exposed = true;
    s->event.port = 81;
    history_add(&h, &s->event);
    assert_sent(
        history_find(&h, STR("s1.2")),
        "GET http://web.shop.localhost:81/x HTTP/1.1\r\nConnection: close\r\n\r\n");
    history_finish(&h);
    sched_finish(&sched);
}

static void a_kept_request_can_be_sent_again(void **state)
{
    struct sched sched;
    struct history h;
    struct sample *s = sample();
    (void)state;

    sched_init(&sched, 1);
    sched.now = 1000;
    history_init(&h, &sched);
    history_add(&h, &s->event);
    const struct kept_request *k = history_find(&h, STR("s1.2"));
    assert_non_null(k);
    assert_null(k->incomplete);
    assert_sent(k, "GET /a?token=1 HTTP/1.1\r\n"
                   "Host: web.shop.localhost\r\n"
                   "Authorization: Bearer xyz\r\n"
                   "Referer: http://x/?a=1\r\n"
                   "Connection: close\r\n\r\n");
    assert_null(history_find(&h, STR("s1.3")));
    sched_run(&sched, 1000 + HISTORY_MS);
    assert_null(history_find(&h, STR("s1.2")));
    history_finish(&h);
    sched_finish(&sched);
}

static void requests_without_their_body_are_not_sent_again(void **state)
{
    struct sched sched;
    struct history h;
    struct sample *s = sample();
    (void)state;

    sched_init(&sched, 1);
    history_init(&h, &sched);
    s->head.framing = BODY_LENGTH;
    s->event.bytes_in = 10;
    history_add(&h, &s->event);
    assert_non_null(history_find(&h, STR("s1.2"))->incomplete);
    history_finish(&h);
    sched_finish(&sched);
}

static bool is_refused(enum http1_framing framing, size_t len, bool whole)
{
    char bytes[] = "0123456789";
    const struct body_copy body = { bytes, len, false, false };
    struct sched sched;
    struct history h;
    struct sample *s = sample();

    sched_init(&sched, 1);
    history_init(&h, &sched);
    s->head.framing = framing;
    s->head.length = 10;
    s->event.bytes_in = len;
    s->event.request_body = &body;
    s->event.whole = whole;
    history_add(&h, &s->event);
    const char *reason = history_find(&h, STR("s1.2"))->incomplete;
    if (reason)
        assert_non_null(strstr(reason, "not all of its body"));
    history_finish(&h);
    sched_finish(&sched);
    return reason != NULL;
}

static void bodies_that_ended_early_are_not_sent_again(void **state)
{
    (void)state;
    assert_false(is_refused(BODY_LENGTH, 10, true));
    assert_true(is_refused(BODY_LENGTH, 9, false));
    assert_true(is_refused(BODY_LENGTH, 0, false));
    assert_false(is_refused(BODY_CHUNKED, 5, true));
    assert_true(is_refused(BODY_CHUNKED, 5, false));
    assert_false(is_refused(BODY_TO_END, 5, true));
    assert_true(is_refused(BODY_TO_END, 5, false));
    assert_true(is_refused(BODY_TO_END, 0, false));
}

static void history_is_bounded(void **state)
{
    struct sched sched;
    struct history h;
    struct sample *s = sample();
    (void)state;

    sched_init(&sched, 1);
    history_init(&h, &sched);
    for (unsigned i = 1; i <= HISTORY_MAX + 5; i++) {
        s->event.id.sub = i;
        history_add(&h, &s->event);
    }
    assert_int_equal(h.count, HISTORY_MAX);
    assert_null(history_find(&h, STR("s1.5")));
    assert_non_null(history_find(&h, STR("s1.6")));
    AUTO_FREE char *body = xmalloc(60000);
    memset(body, 'a', 60000);
    const struct body_copy large = { body, 60000, false, false };
    s->event.request_body = &large;
    for (unsigned i = 0; i < 100; i++)
        history_add(&h, &s->event);
    assert_true(h.bytes <= HISTORY_BYTES);
    history_finish(&h);
    sched_finish(&sched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_take_what_they_name),
        cmocka_unit_test(credentials_and_queries_are_redacted),
        cmocka_unit_test(bodies_lose_their_chunks_and_stay_readable),
        cmocka_unit_test(a_request_without_fields_is_kept_whole),
        cmocka_unit_test(a_kept_request_can_be_sent_again),
        cmocka_unit_test(requests_without_their_body_are_not_sent_again),
        cmocka_unit_test(bodies_that_ended_early_are_not_sent_again),
        cmocka_unit_test(history_is_bounded),
    };
    return cmocka_run_group_tests_name("control/event", tests, NULL, NULL);
}
