/* tests/unit/serve/errors_test.c - the words for what went wrong, in three formats */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>

#include "serve/errors.h"

#include "base/own.h"

static enum page_format wanted(const char *accept)
{
    struct http1_field fields[8];
    struct http1_head head = { .fields = fields, .room = ARRAY_LEN(fields) };
    AUTO_FREE char *text =
        xasprintf("GET / HTTP/1.1\r\nHost: x\r\nAccept: %s\r\n\r\n", accept);

    assert_int_equal(http1_request_parse(text, strlen(text), &head), OK);
    return page_format_wanted(&head);
}

static void takes_the_format_the_client_prefers(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum page_format format;
    } cases[] = {
        { "*/*", PAGE_TEXT },
        { "", PAGE_TEXT },
        { "image/png", PAGE_TEXT },
        { "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", PAGE_HTML },
        { "application/json", PAGE_JSON },
        { "application/json, text/plain, */*", PAGE_JSON },
        { "application/problem+json", PAGE_JSON },
        { "text/html;q=0.5, application/json;q=0.9", PAGE_JSON },
        { "text/html;q=0.9, application/json;q=0.5", PAGE_HTML },
        { "text/html;q=0.899;x=y, application/json;q=0.9", PAGE_JSON },
        { "text/html;q=0, */*", PAGE_TEXT },
        { "*/*, text/html;q=0.1", PAGE_HTML },
        { "TEXT/HTML ; Q=1.0", PAGE_HTML },
        { ",;q=,text/html;;", PAGE_HTML },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (wanted(cases[i].accept) != cases[i].format)
            fail_msg("Accept: %s", cases[i].accept);
    assert_int_equal(page_format_wanted(NULL), PAGE_TEXT);
}

static struct refusal nasty(void)
{
    struct refusal r;

    refusal_set(&r, 404, "not \"found\": %s", "<script>alert('x')</script> & \r\nSet: x");
    refusal_detail(&r, "back\\slash, tab\t, caf\xc3\xa9, \x7f");
    refusal_hint(&r, "one\ntwo");
    return r;
}

static void plain_text_has_the_first_line_first(void **state)
{
    (void)state;
    struct refusal r = nasty();
    struct page page;
    AUTO_FREE char *text = NULL;

    refusal_page(&r, PAGE_TEXT, &page, &text);
    assert_int_equal(page.status, 404);
    assert_string_equal(text, "not \"found\": <script>alert('x')</script> &   Set: x\n\n"
                              "back\\slash, tab , caf\xc3\xa9, ?\none\ntwo\n");
}

static void html_is_escaped(void **state)
{
    (void)state;
    struct refusal r = nasty();
    struct page page;
    AUTO_FREE char *text = NULL;

    refusal_page(&r, PAGE_HTML, &page, &text);
    assert_null(strstr(text, "<script"));
    assert_non_null(
        strstr(text, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; "));
    assert_string_equal(page.type, "text/html; charset=utf-8");
}

static void json_can_be_parsed(void **state)
{
    (void)state;
    struct refusal r = nasty();
    struct page page;
    AUTO_FREE char *text = NULL;

    r.retry_after = 7;
    refusal_page(&r, PAGE_JSON, &page, &text);
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "error")), r.first);
    assert_string_equal(json_string_value(json_object_get(json, "hint")), "one\ntwo");
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 404);
    assert_int_equal(json_integer_value(json_object_get(json, "retryAfter")), 7);
    json_decref(json);
}

static void fits_whatever_it_is_told(void **state)
{
    (void)state;
    struct refusal r;
    char text[4000];

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    refusal_set(&r, 400, "%s", text);
    refusal_detail(&r, "%s", text);
    refusal_hint(&r, "%s", text);
    assert_int_equal(strlen(r.first), sizeof(r.first) - 1);
    refusal_invalid_host(str_of(text), "too long", "cluster.local", &r);
    assert_string_equal(r.first, "Invalid host");
}

/* The page for a lease that failed like this, on the way to "web.shop" or to a pod. */
static struct refusal refused(enum err result, bool dialling, const char *why,
                              const char *host)
{
    struct route *route = xcalloc(1, sizeof(*route));
    struct lease lease = { .result = result, .dialling = dialling, .port = 80 };
    struct refusal r;

    name_parse(str_of(host), STR("cluster.local"), &route->name);
    diag_set(&lease.why, result, "%s", why);
    refusal_from_lease(&lease, route, &r);
    free(route);
    return r;
}

static void a_failed_port_forward_has_a_hint_for_its_cause(void **state)
{
    (void)state;
    static const struct {
        enum err result;
        const char *why, *detail, *hint;
    } cases[] = {
        { ERR_UNAUTHORIZED, "Unauthorized", "does not accept the credentials (401)",
          "expired: kubectl get namespaces" },
        { ERR_SERVER, "error dialing backend: EOF", "could not open a port-forward",
          "kubectl get nodes" },
        { ERR_CONNECT, "cannot reach 127.0.0.1:9: Connection refused",
          "could not be asked for a port-forward", "up: kubectl get namespaces" },
        { ERR_SERVER, "boom", "could not open a port-forward", "" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct refusal r = refused(cases[i].result, true, cases[i].why, "web.shop");
        assert_int_equal(r.status, 502);
        assert_non_null(strstr(r.first, cases[i].why));
        assert_non_null(strstr(r.detail, cases[i].detail));
        assert_non_null(strstr(r.hint, cases[i].hint));
        assert_int_equal(r.hint[0] == '\0', cases[i].hint[0] == '\0');
    }
}

static void kube_tunnel_list_is_a_hint_for_services_only(void **state)
{
    (void)state;
    struct refusal service = refused(ERR_NOT_FOUND, false, "gone", "web.shop");
    struct refusal pod = refused(ERR_NOT_FOUND, false, "gone", "web-1.shop.pod");

    assert_string_equal(
        service.hint,
        "See what there is: kubectl -n shop get services, or kube-tunnel list -n shop");
    assert_string_equal(pod.hint, "See what there is: kubectl -n shop get pods");
}

static void an_answer_that_is_not_http_is_an_answer(void **state)
{
    (void)state;
    struct lease lease = { .port = 22 };
    struct refusal r;

    refusal_from_stream(&lease, 502, "the answer is not HTTP/1.1: no status line", &r);
    assert_non_null(strstr(r.detail, "answered, but not in HTTP/1.1"));
    assert_non_null(strstr(r.hint, "--expose SVC.NS:PORT"));
    refusal_from_stream(&lease, 504, "no answer within the time", &r);
    assert_non_null(strstr(r.detail, "gave no answer"));
    assert_non_null(strstr(r.hint, "kubectl -n ? logs"));

    struct stream stream = { .end.verdict = V_REFUSED };
    lease.stream = &stream;
    refusal_from_stream(&lease, 502, "connection refused", &r);
    assert_non_null(strstr(r.detail, "Nothing accepts connections on port 22"));
    assert_non_null(strstr(r.hint, "listens on the pod's address only"));
}

static void a_service_without_pods_is_not_sent_to_its_pods(void **state)
{
    (void)state;
    struct lease lease = { .result = ERR_UNAVAILABLE };
    struct route route = { 0 };
    struct refusal r;

    name_parse(STR("web.shop.svc"), STR("cluster.local"), &route.name);
    refusal_from_lease(&lease, &route, &r);
    assert_string_equal(r.first, "No running pod for web/shop");
    assert_non_null(strstr(r.hint, "kubectl -n shop get service web"));
    lease.has_pods = true;
    refusal_from_lease(&lease, &route, &r);
    assert_non_null(strstr(r.hint, "kubectl -n shop get pods"));
}

static void a_port_that_is_not_tcp_is_not_a_missing_pod(void **state)
{
    (void)state;
    struct lease lease = { .result = ERR_UNSUPPORTED };
    struct route route = { 0 };
    struct refusal r;

    name_parse(STR("dns.shop.svc"), STR("cluster.local"), &route.name);
    diag_set(&lease.why, OK, "a port-forward carries TCP only");
    refusal_from_lease(&lease, &route, &r);
    assert_int_equal(r.status, 501);
    assert_string_equal(
        r.first, "Cannot forward to service shop/dns: a port-forward carries TCP only");
}

static void a_page_is_a_whole_message(void **state)
{
    (void)state;
    struct chunk_pool pool;
    struct bufq out;
    char said[1000] = "";
    struct page page = {
        .status = 503,
        .type = "text/plain",
        .body = STR("sorry\n"),
        .retry_after = 3,
        .connection = "close",
    };

    chunk_pool_init(&pool, 0);
    bufq_init(&out, &pool, 10);
    page_write(&page, &out);
    bufq_read(&out, said, sizeof(said));
    assert_string_equal(said, "HTTP/1.1 503 Service Unavailable\r\n"
                              "Content-Type: text/plain\r\nContent-Length: 6\r\n"
                              "Cache-Control: no-store\r\n"
                              "X-Content-Type-Options: nosniff\r\n"
                              "Content-Security-Policy: frame-ancestors 'none'\r\n"
                              "Retry-After: 3\r\nConnection: close\r\n\r\nsorry\n");
    assert_int_equal(out.limit, 10);
    chunk_pool_finish(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_format_the_client_prefers),
        cmocka_unit_test(plain_text_has_the_first_line_first),
        cmocka_unit_test(html_is_escaped),
        cmocka_unit_test(json_can_be_parsed),
        cmocka_unit_test(fits_whatever_it_is_told),
        cmocka_unit_test(a_failed_port_forward_has_a_hint_for_its_cause),
        cmocka_unit_test(kube_tunnel_list_is_a_hint_for_services_only),
        cmocka_unit_test(an_answer_that_is_not_http_is_an_answer),
        cmocka_unit_test(a_service_without_pods_is_not_sent_to_its_pods),
        cmocka_unit_test(a_port_that_is_not_tcp_is_not_a_missing_pod),
        cmocka_unit_test(a_page_is_a_whole_message),
    };
    return cmocka_run_group_tests_name("serve/errors", tests, NULL, NULL);
}
