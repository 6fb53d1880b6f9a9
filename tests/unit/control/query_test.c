/* tests/unit/control/query_test.c - parameters of a query, and JSON that is written at once */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <inttypes.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "base/json_text.h"
#include "control/operation.h"

static void assert_value(const char *query, const char *name, const char *wanted)
{
    AUTO_FREE char *value = query_value(str_of(query), name);

    if (!wanted)
        assert_null(value);
    else
        assert_string_equal(value ? value : "(none)", wanted);
}

static void parameters_are_found_and_decoded(void **state)
{
    (void)state;
    assert_value("a=1&b=2", "b", "2");
    assert_value("a=1&b=2", "c", NULL);
    assert_value("", "a", NULL);
    assert_value("a", "a", "");
    assert_value("a=%2Fx+y%2", "a", "/x y%2");
    assert_value("a=%2", "a", "%2");
    assert_value("a=%", "a", "%");
    assert_value("a=%zz", "a", "%zz");
    assert_value("aa=1&a=2", "a", "2");
    assert_value("a=1&a=2", "a", "1");
}

static void values_that_are_no_text_are_refused(void **state)
{
    (void)state;
    assert_value("a=%00", "a", NULL);
    assert_value("a=%1b%5b", "a", NULL);
    assert_value("a=%ff", "a", NULL);
    assert_value("a=%e2%80%ae", "a", NULL); /* right-to-left override */
    assert_value("a=%c3%a9", "a", "\xc3\xa9");
}

static void flags_are_read(void **state)
{
    (void)state;
    assert_true(query_flag(STR("x"), "x"));
    assert_true(query_flag(STR("x=1"), "x"));
    assert_true(query_flag(STR("x=true"), "x"));
    assert_false(query_flag(STR("x=0"), "x"));
    assert_false(query_flag(STR("y"), "x"));
}

static void assert_json(struct str text, const char *wanted)
{
    struct json_out o = { 0 };

    json_out_string(&o, text);
    json_out_raw(&o, (struct str){ "", 1 });
    assert_string_equal(o.at, wanted);
    json_t *read = json_loads(o.at, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(read);
    json_decref(read);
    json_out_finish(&o);
}

static void strings_are_ascii(void **state)
{
    (void)state;
    assert_json(STR("web"), "\"web\"");
    assert_json(STR("a\"b\\c/"), "\"a\\\"b\\\\c/\"");
    assert_json(STR("\x1b[31m\n"), "\"\\u001b[31m\\u000a\"");
    assert_json(STR("\xe2\x80\xae"), "\"\\u202e\"");
    assert_json(STR("\xf0\x9f\x98\x80"), "\"\\ud83d\\ude00\"");
    assert_json(STR("a\xff\xfe z"), "\"a\\ufffd\\ufffd z\"");
    assert_json(STR("\xe2\x80"), "\"\\ufffd\\ufffd\"");
    assert_json((struct str){ "a\0b", 3 }, "\"a\\u0000b\"");
}

/* Each byte at each place of strings of each length, which are copied in blocks. */
static void a_byte_is_escaped_wherever_it_is(void **state)
{
    (void)state;
    char text[41];

    for (size_t len = 1; len < sizeof(text); len++)
        for (size_t at = 0; at < len; at++)
            for (int c = 0; c < 0x80; c++) {
                struct json_out o = { 0 };
                memset(text, 'a', len);
                text[at] = (char)c;
                json_out_string(&o, (struct str){ text, len });
                json_t *read =
                    json_loadb(o.at, o.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
                assert_int_equal(json_string_length(read), len);
                assert_memory_equal(json_string_value(read), text, len);
                bool plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\';
                assert_true(plain ? o.len == len + 2 : o.len > len + 2);
                json_decref(read);
                json_out_finish(&o);
            }
}

static void numbers_as_printf_writes_them(void **state)
{
    (void)state;
    char wanted[32];

    for (uint64_t n = 0; n < 120000; n += 1 + n / 1100) {
        struct json_out o = { 0 };
        json_out_number(&o, n * n);
        int len = snprintf(wanted, sizeof(wanted), "%" PRIu64, n * n);
        assert_int_equal(o.len, len);
        assert_memory_equal(o.at, wanted, o.len);
        json_out_finish(&o);
    }
}

static void numbers_and_bytes_are_written(void **state)
{
    struct json_out o = { 0 };
    (void)state;

    json_out_number(&o, 0);
    json_out_raw(&o, STR(" "));
    json_out_number(&o, 100);
    json_out_raw(&o, STR(" "));
    json_out_number(&o, 12345);
    json_out_raw(&o, STR(" "));
    json_out_number(&o, UINT64_MAX);
    json_out_base64(&o, (struct str){ "\xff\x00", 2 });
    json_out_raw(&o, (struct str){ "", 1 });
    assert_string_equal(o.at, "0 100 12345 18446744073709551615\"/wA=\"");
    json_out_finish(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_found_and_decoded),
        cmocka_unit_test(values_that_are_no_text_are_refused),
        cmocka_unit_test(flags_are_read),
        cmocka_unit_test(strings_are_ascii),
        cmocka_unit_test(a_byte_is_escaped_wherever_it_is),
        cmocka_unit_test(numbers_as_printf_writes_them),
        cmocka_unit_test(numbers_and_bytes_are_written),
    };
    return cmocka_run_group_tests_name("control/query", tests, NULL, NULL);
}
