/* tests/unit/detect/detect_test.c - protocols by their first bytes */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "detect/detect.h"

#include "base/own.h"

/* `sure`: how many bytes are needed for the result; fewer return DETECT_MORE. */
static const struct {
    const char *bytes;
    size_t len, sure;
    enum detected is;
} cases[] = {
    { "GET / HTTP/1.1\r\n", 16, 1, DETECT_HTTP1 },
    { "POST / HTTP/1.1\r\n", 17, 2, DETECT_HTTP1 },
    { "PRI / HTTP/1.1\r\n", 16, 5, DETECT_HTTP1 },
    { "PROPFIND / HTTP/1.1\r\n", 21, 3, DETECT_HTTP1 },
    { "get / HTTP/1.1\r\n", 16, 1, DETECT_HTTP1 },
    { "\r\nGET / HTTP/1.1", 16, 1, DETECT_HTTP1 },
    { "\n", 1, 1, DETECT_HTTP1 },
    { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24, 24, DETECT_HTTP2 },
    { "PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", 24, 24, DETECT_HTTP1 },
    { "\x16\x03\x01\x02\x00\x01\x00", 7, 6, DETECT_TLS },
    { "\x16\x03\x03\x00\xff\x01", 6, 6, DETECT_TLS },
    { "\x16\x03\x01\x02\x00\x02", 6, 6, DETECT_UNKNOWN },
    { "\x16\x02", 2, 2, DETECT_UNKNOWN },
    { "\x04\x01\x00\x50", 4, 2, DETECT_SOCKS4 },
    { "\x04\x02\x00\x50", 4, 2, DETECT_SOCKS4 },
    { "\x04\x03", 2, 2, DETECT_UNKNOWN },
    { "\x05\x01\x00", 3, 2, DETECT_SOCKS5 },
    { "\x05\x00", 2, 2, DETECT_UNKNOWN },
    { "\x00\x00\x00\x08\x04\xd2\x16\x2f", 8, 1, DETECT_UNKNOWN },
    { "\xff\xfe", 2, 1, DETECT_UNKNOWN },
    { " GET", 4, 1, DETECT_UNKNOWN },
};

static void decides_after_as_few_bytes_as_possible(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t len = 0; len <= cases[i].len; len++) {
            enum detected got = detect((const uint8_t *)cases[i].bytes, len);
            enum detected wanted = len < cases[i].sure ? DETECT_MORE : cases[i].is;
            if (got != wanted)
                fail_msg("case %zu, %zu bytes: %s", i, len, detected_name(got));
        }
}

static void always_decides_in_the_end(void **state)
{
    (void)state;
    uint8_t bytes[DETECT_MAX];

    for (int first = 0; first < 256; first++)
        for (int rest = 0; rest < 256; rest += 5) {
            memset(bytes, rest, sizeof(bytes));
            bytes[0] = (uint8_t)first;
            assert_int_not_equal(detect(bytes, sizeof(bytes)), DETECT_MORE);
        }
}

static void names_a_server_that_does_not_speak_http1(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        enum detected is;
    } servers[] = {
        { "\x15\3\3\0\2\2\x46", 7, DETECT_TLS },   /* an alert */
        { "\x16\3\1\0\5\2\0\0\1", 9, DETECT_TLS }, /* a handshake */
        { "\0\0\0\4\0\0\0\0\0", 9, DETECT_HTTP2 }, /* empty SETTINGS */
        { "\0\0\x12\4\0\0\0\0\0\0\3", 11, DETECT_HTTP2 },
        { "\0\0\x8\7\0\0\0\0\0\0", 10, DETECT_HTTP2 }, /* GOAWAY */
        { "\0\0\0\4\0\0\0\0\1", 9, DETECT_UNKNOWN },   /* of a stream */
        { "\0\0\0\4\0\0\0\0", 8, DETECT_UNKNOWN },     /* cut */
        { "\x15\2\3\0\2\2\x46", 7, DETECT_UNKNOWN },
        { "\x15\3", 2, DETECT_UNKNOWN },
        { "HTTP/1.1 ", 9, DETECT_UNKNOWN },
        { "220 mail.", 9, DETECT_UNKNOWN },
    };

    for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
        enum detected got =
            detect_server((const uint8_t *)servers[i].bytes, servers[i].len);
        if (got != servers[i].is)
            fail_msg("case %zu: %s", i, detected_name(got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides_after_as_few_bytes_as_possible),
        cmocka_unit_test(always_decides_in_the_end),
        cmocka_unit_test(names_a_server_that_does_not_speak_http1),
    };
    return cmocka_run_group_tests_name("detect", tests, NULL, NULL);
}
