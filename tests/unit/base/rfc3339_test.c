/* tests/unit/base/rfc3339_test.c - points in time as texts */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "base/rfc3339.h"

static void timestamps_are_parsed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        /* clang-format off */
        { "1970-01-01T00:00:00Z", 0 },
        { "1969-12-31T23:59:59Z", -1000 },
        { "2026-11-29T06:20:57Z", 1795933257000 },
        { "2026-11-29T06:20:57.5Z", 1795933257500 },
        { "2026-11-29T06:20:57.123456789Z", 1795933257123 },
        { "2026-11-29T08:20:57+02:00", 1795933257000 },
        { "2026-11-28T22:50:57-07:30", 1795933257000 },
        { "2000-02-29T12:00:00Z", 951825600000 },
        { "2024-02-29T00:00:00Z", 1709164800000 },
        { "9999-12-31T23:59:59Z", 253402300799000 },
        { "0001-01-01T00:00:00Z", -62135596800000 },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = 0;
        if (rfc3339_parse(str_of(cases[i].text), &ms) || ms != cases[i].ms)
            fail_msg("%s: %lld", cases[i].text, (long long)ms);
    }
}

static void malformed_timestamps_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "soon",
        "2026-11-29",
        "2026-11-29T06:20:57",
        "2026-11-29 06:20:57Z",
        "2026-11-29T06:20Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-11-29T24:00:00Z",
        "2026-11-29T06:60:00Z",
        "2026-11-29T06:20:60Z",
        "2026-11-29T06:20:57.Z",
        "2026-11-29T06:20:57+2:00",
        "2026-11-29T06:20:57+24:00",
        "2026-11-29T06:20:57Zulu",
        "+026-11-29T06:20:57Z",
        "99999-11-29T06:20:57Z",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = 42;
        if (rfc3339_parse(str_of(cases[i]), &ms) != ERR_PROTO || ms != 42)
            fail_msg("accepted: %s", cases[i]);
    }
}

static void printed_timestamps_parse_to_the_same_time(void **state)
{
    (void)state;
    char text[RFC3339_ROOM];

    for (int64_t ms = -62135596800000; ms < 253402300799000; ms += 86399999000) {
        int64_t read = 0;
        rfc3339_write(ms, text);
        assert_int_equal(rfc3339_parse(str_of(text), &read), OK);
        assert_int_equal(read, ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timestamps_are_parsed),
        cmocka_unit_test(malformed_timestamps_are_refused),
        cmocka_unit_test(printed_timestamps_parse_to_the_same_time),
    };
    return cmocka_run_group_tests_name("base/rfc3339", tests, NULL, NULL);
}
