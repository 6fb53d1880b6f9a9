/* tests/unit/serve/error_page_test.c - the page of a refusal, in three formats */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>

#include "serve/error_page.h"

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

static void the_format_that_the_client_prefers_is_used(void **state)
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

static struct explanation nasty(void)
{
    struct explanation e;

    explanation_begin(&e, "not \"found\"");
    explanation_first(&e, ": %s", "<script>alert('x')</script> & \r\nSet: x");
    explanation_detail(&e, "back\\slash, tab\t, caf\xc3\xa9, \x7f");
    explanation_hint(&e, "one\ntwo");
    return e;
}

static void plain_text_has_the_first_line_first(void **state)
{
    (void)state;
    struct explanation e = nasty();
    struct page page;
    AUTO_FREE char *text = NULL;

    error_page_write(CAUSE_LOOKUP_NOT_FOUND, &e, PAGE_TEXT, &page, &text);
    assert_int_equal(page.status, 404);
    assert_string_equal(text, "not \"found\": <script>alert('x')</script> &   Set: x\n\n"
                              "back\\slash, tab , caf\xc3\xa9, ?\none\ntwo\n");
}

static void html_is_escaped(void **state)
{
    (void)state;
    struct explanation e = nasty();
    struct page page;
    AUTO_FREE char *text = NULL;

    error_page_write(CAUSE_LOOKUP_NOT_FOUND, &e, PAGE_HTML, &page, &text);
    assert_null(strstr(text, "<script"));
    assert_non_null(
        strstr(text, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; "));
    assert_string_equal(page.type, "text/html; charset=utf-8");
}

static void json_can_be_parsed(void **state)
{
    (void)state;
    struct explanation e = nasty();
    struct page page;
    AUTO_FREE char *text = NULL;

    e.retry_after = 7;
    error_page_write(CAUSE_LOOKUP_NOT_FOUND, &e, PAGE_JSON, &page, &text);
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "error")), e.first);
    assert_string_equal(json_string_value(json_object_get(json, "hint")), "one\ntwo");
    assert_string_equal(json_string_value(json_object_get(json, "cause")), "not-found");
    assert_string_equal(json_string_value(json_object_get(json, "detail")),
                        "back\\slash, tab , caf??, ?");
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 404);
    assert_int_equal(json_integer_value(json_object_get(json, "retryAfter")), 7);
    json_decref(json);
}

/* The bytes of a page for programs are an interface. */
static void json_is_one_line_of_known_members(void **state)
{
    (void)state;
    struct explanation e;
    struct page page;
    AUTO_FREE char *text = NULL;

    explanation_begin(&e, cause_title(CAUSE_HOST_INVALID));
    explanation_detail(&e, "\"a/b\": c.");
    error_page_write(CAUSE_HOST_INVALID, &e, PAGE_JSON, &page, &text);
    assert_string_equal(text,
                        "{\"error\":\"Invalid host\",\"cause\":\"invalid-host\","
                        "\"status\":400,\"detail\":\"\\\"a/b\\\": c.\",\"hint\":\"\"}\n");
}

static void a_page_is_a_whole_message(void **state)
{
    (void)state;
    struct chunk_pool pool;
    struct bufq out;
    char output[1000] = "";
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
    bufq_read(&out, output, sizeof(output));
    assert_string_equal(output, "HTTP/1.1 503 Service Unavailable\r\n"
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
        cmocka_unit_test(the_format_that_the_client_prefers_is_used),
        cmocka_unit_test(plain_text_has_the_first_line_first),
        cmocka_unit_test(html_is_escaped),
        cmocka_unit_test(json_can_be_parsed),
        cmocka_unit_test(json_is_one_line_of_known_members),
        cmocka_unit_test(a_page_is_a_whole_message),
    };
    return cmocka_run_group_tests_name("serve/error_page", tests, NULL, NULL);
}
