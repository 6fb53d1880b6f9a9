/* tests/unit/wire/spdy_test.c - frames as moby/spdystream reads and writes them
 *
 * The bytes were captured between kubectl's libraries and the real stream server: port
 * 80, request 0, streams 1 (error) and 3 (data).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/own.h"
#include "wire/spdy.h"

static const uint8_t syn_reply[] = {
    0x80, 0x03, 0x00, 0x02, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x01, /* head, id */
    0x78, 0xf9, 0xe3, 0xc6, 0xa7, 0xc2, 0x62, 0x60, 0x60, 0x60, 0x00, 0x00, /* block */
    0x00, 0x00, 0xff, 0xff,
};

/* Level 0: SYN_STREAM 1 with FIN, its block of 75 bytes, SYN_STREAM 3, its block of 68.
 */
static const uint8_t first_pair[] = {
    0x80, 0x03, 0x00, 0x01, 0x01, 0x00, 0x00, 0x55, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x78, 0x3f, 0xe3, 0xc6, 0xa7, 0xc2, 0x00, 0x3b, 0x00, 0xc4,
    0xff, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x04, 'p',  'o',  'r',  't',  0x00,
    0x00, 0x00, 0x02, '8',  '0',  0x00, 0x00, 0x00, 0x09, 'r',  'e',  'q',  'u',  'e',
    's',  't',  'i',  'd',  0x00, 0x00, 0x00, 0x01, '0',  0x00, 0x00, 0x00, 0x0a, 's',
    't',  'r',  'e',  'a',  'm',  't',  'y',  'p',  'e',  0x00, 0x00, 0x00, 0x05, 'e',
    'r',  'r',  'o',  'r',  0x00, 0x00, 0x00, 0xff, 0xff,

    0x80, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00, 0x4e, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x3a, 0x00, 0xc5, 0xff, 0x00, 0x00, 0x00, 0x03, 0x00,
    0x00, 0x00, 0x04, 'p',  'o',  'r',  't',  0x00, 0x00, 0x00, 0x02, '8',  '0',  0x00,
    0x00, 0x00, 0x09, 'r',  'e',  'q',  'u',  'e',  's',  't',  'i',  'd',  0x00, 0x00,
    0x00, 0x01, '0',  0x00, 0x00, 0x00, 0x0a, 's',  't',  'r',  'e',  'a',  'm',  't',
    'y',  'p',  'e',  0x00, 0x00, 0x00, 0x04, 'd',  'a',  't',  'a',  0x00, 0x00, 0x00,
    0xff, 0xff,
};

static const struct spdy_pair pair_80 = { .error_id = 1, .data_id = 3, .port = 80 };

static void opens_the_first_pair_as_the_server_expects(void **state)
{
    (void)state;
    uint8_t out[SPDY_PAIR_MAX];

    size_t n = spdy_pair_encode(&pair_80, true, out);

    assert_int_equal(n, sizeof(first_pair));
    assert_memory_equal(out, first_pair, sizeof(first_pair));
}

/* Later pairs have no zlib head: the same bytes without those six, and shorter by them.
 */
static void opens_a_later_pair_without_the_zlib_head(void **state)
{
    (void)state;
    uint8_t out[SPDY_PAIR_MAX];

    size_t n = spdy_pair_encode(&pair_80, false, out);

    assert_int_equal(n, sizeof(first_pair) - 6);
    assert_int_equal(out[7], 0x4f);
    assert_memory_equal(out + 18, first_pair + 24, sizeof(first_pair) - 24);
}

static void the_largest_pair_fits(void **state)
{
    (void)state;
    uint8_t out[SPDY_PAIR_MAX];
    const struct spdy_pair largest = { .error_id = SPDY_ID_MAX - 2,
                                       .data_id = SPDY_ID_MAX,
                                       .port = 65535,
                                       .request_id = UINT32_MAX };

    size_t n = spdy_pair_encode(&largest, true, out);

    assert_in_range(n, 1, SPDY_PAIR_MAX);
    assert_memory_equal(out + 8, "\x7f\xff\xff\xfd", 4);
}

static void encodes_the_small_frames(void **state)
{
    (void)state;
    uint8_t out[64];

    spdy_ping_encode(1, out);
    assert_memory_equal(out, "\x80\x03\0\6\0\0\0\4\0\0\0\1", SPDY_PING_SIZE);
    spdy_data_head_encode(3, SPDY_FIN, 0, out);
    assert_memory_equal(out, "\0\0\0\3\1\0\0\0", SPDY_HEAD);
    spdy_data_head_encode(SPDY_ID_MAX, 0, 0xffffff, out);
    assert_memory_equal(out, "\x7f\xff\xff\xff\0\xff\xff\xff", SPDY_HEAD);
}

static void decodes_the_servers_first_answer(void **state)
{
    (void)state;
    struct spdy_head head;
    struct spdy_control reply;

    assert_int_equal(spdy_head_decode(syn_reply, sizeof(syn_reply), &head), OK);
    assert_int_equal(head.type, SPDY_SYN_REPLY);
    assert_int_equal(head.flags, 0);
    assert_int_equal(head.length, 20);
    assert_int_equal(spdy_control_decode(&head, syn_reply + SPDY_HEAD, &reply), OK);
    assert_int_equal(reply.id, 1);
    assert_int_equal(reply.block.len, 16);
    assert_ptr_equal(reply.block.at, syn_reply + 12);
}

static void decodes_a_data_head(void **state)
{
    (void)state;
    struct spdy_head head;

    assert_int_equal(spdy_head_decode((const uint8_t *)"\0\0\0\3\1\0\x80\0", 8, &head),
                     OK);
    assert_int_equal(head.type, SPDY_DATA);
    assert_int_equal(head.id, 3);
    assert_int_equal(head.flags, SPDY_FIN);
    assert_int_equal(head.length, 32768);
}

/* A head cut at any byte is incomplete, never wrong, and writes nothing. */
static void waits_for_every_missing_byte(void **state)
{
    (void)state;
    for (size_t len = 0; len < SPDY_HEAD; len++) {
        struct spdy_head head = { .type = SPDY_PING, .length = 42 };

        assert_int_equal(spdy_head_decode(syn_reply, len, &head), ERR_AGAIN);
        assert_int_equal(head.type, SPDY_PING);
        assert_int_equal(head.length, 42);
    }
}

static void impossible_heads_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        enum err expected;
        uint8_t wire[8];
    } cases[] = {
        /* clang-format off */
        { "data for stream 0",         ERR_PROTO, { 0, 0, 0, 0, 0, 0, 0, 1 } },
        { "version 2",                 ERR_PROTO, { 0x80, 2, 0, 6, 0, 0, 0, 4 } },
        { "version 4",                 ERR_PROTO, { 0x80, 4, 0, 6, 0, 0, 0, 4 } },
        { "type 0",                    ERR_PROTO, { 0x80, 3, 0, 0, 0, 0, 0, 0 } },
        { "NOOP, gone since SPDY/3",   ERR_PROTO, { 0x80, 3, 0, 5, 0, 0, 0, 0 } },
        { "CREDENTIAL",                ERR_PROTO, { 0x80, 3, 0, 10, 0, 0, 0, 0 } },
        { "unknown type",              ERR_PROTO, { 0x80, 3, 1, 6, 0, 0, 0, 4 } },
        { "control body at the limit", OK,        { 0x80, 3, 0, 8, 0, 1, 0, 0 } },
        { "control body over it",      ERR_LIMIT, { 0x80, 3, 0, 8, 0, 1, 0, 1 } },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct spdy_head head;
        enum err e = spdy_head_decode(cases[i].wire, sizeof(cases[i].wire), &head);

        if (e != cases[i].expected)
            fail_msg("%s: got \"%s\"", cases[i].why, err_text(e));
    }
}

static void control_frames_with_wrong_sizes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        enum err expected;
        struct spdy_head head;
        uint8_t body[24];
    } cases[] = {
        /* clang-format off */
        { "SYN_STREAM",               OK,        { SPDY_SYN_STREAM, 1, 10, 0 }, { 0, 0, 0, 1 } },
        { "SYN_STREAM for stream 0",  ERR_PROTO, { SPDY_SYN_STREAM, 0, 10, 0 }, { 0x80 } },
        { "SYN_STREAM too short",     ERR_PROTO, { SPDY_SYN_STREAM, 0, 9, 0 }, { 0, 0, 0, 1 } },
        { "SYN_REPLY",                OK,        { SPDY_SYN_REPLY, 1, 4, 0 }, { 0, 0, 0, 1 } },
        { "SYN_REPLY too short",      ERR_PROTO, { SPDY_SYN_REPLY, 0, 3, 0 }, { 0, 0, 0 } },
        { "SYN_REPLY for stream 0",   ERR_PROTO, { SPDY_SYN_REPLY, 0, 4, 0 }, { 0 } },
        { "HEADERS for stream 0",     ERR_PROTO, { SPDY_HEADERS, 0, 4, 0 }, { 0 } },
        { "HEADERS too short",        ERR_PROTO, { SPDY_HEADERS, 0, 0, 0 }, { 0 } },
        { "RST_STREAM",               OK,        { SPDY_RST_STREAM, 0, 8, 0 },
          { 0, 0, 0, 3, 0, 0, 0, 5 } },
        { "RST_STREAM, status 0",     ERR_PROTO, { SPDY_RST_STREAM, 0, 8, 0 }, { 0, 0, 0, 3 } },
        { "RST_STREAM for stream 0",  ERR_PROTO, { SPDY_RST_STREAM, 0, 8, 0 },
          { 0, 0, 0, 0, 0, 0, 0, 5 } },
        { "RST_STREAM too long",      ERR_PROTO, { SPDY_RST_STREAM, 0, 9, 0 },
          { 0, 0, 0, 3, 0, 0, 0, 5 } },
        { "SETTINGS, none",           OK,        { SPDY_SETTINGS, 0, 4, 0 }, { 0 } },
        { "SETTINGS, one",            OK,        { SPDY_SETTINGS, 1, 12, 0 }, { 0, 0, 0, 1 } },
        { "SETTINGS, count is wrong", ERR_PROTO, { SPDY_SETTINGS, 0, 12, 0 }, { 0, 0, 0, 2 } },
        { "SETTINGS, count overflows", ERR_PROTO, { SPDY_SETTINGS, 0, 4, 0 }, { 0x20 } },
        { "SETTINGS, odd length",     ERR_PROTO, { SPDY_SETTINGS, 0, 13, 0 }, { 0, 0, 0, 1 } },
        { "SETTINGS too short",       ERR_PROTO, { SPDY_SETTINGS, 0, 0, 0 }, { 0 } },
        { "PING",                     OK,        { SPDY_PING, 0, 4, 0 }, { 0, 0, 0, 1 } },
        { "PING, largest id",         OK,        { SPDY_PING, 0, 4, 0 }, { 255, 255, 255, 255 } },
        { "PING 0",                   ERR_PROTO, { SPDY_PING, 0, 4, 0 }, { 0 } },
        { "PING with flags",          ERR_PROTO, { SPDY_PING, 1, 4, 0 }, { 0, 0, 0, 1 } },
        { "PING too long",            ERR_PROTO, { SPDY_PING, 0, 8, 0 }, { 0, 0, 0, 1 } },
        { "GOAWAY",                   OK,        { SPDY_GOAWAY, 0, 8, 0 }, { 0 } },
        { "GOAWAY of SPDY/2",         ERR_PROTO, { SPDY_GOAWAY, 0, 4, 0 }, { 0 } },
        { "GOAWAY with flags",        ERR_PROTO, { SPDY_GOAWAY, 1, 8, 0 }, { 0 } },
        { "WINDOW_UPDATE",            OK,        { SPDY_WINDOW_UPDATE, 0, 8, 0 }, { 0, 0, 0, 1 } },
        { "WINDOW_UPDATE too short",  ERR_PROTO, { SPDY_WINDOW_UPDATE, 0, 4, 0 }, { 0, 0, 0, 1 } },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct spdy_control control = { .id = 77 };
        enum err e = spdy_control_decode(&cases[i].head, cases[i].body, &control);

        if (e != cases[i].expected)
            fail_msg("%s: got \"%s\"", cases[i].what, err_text(e));
        if (e && control.id != 77)
            fail_msg("%s: written on failure", cases[i].what);
    }
}

static void reads_ids_and_statuses(void **state)
{
    (void)state;
    static const uint8_t rst[] = { 0x80, 0, 0, 3, 0, 0, 0, 5 }; /* the reserved bit set */
    static const uint8_t ping[] = { 0x80, 0, 0, 1 };
    struct spdy_control control;

    struct spdy_head head = { SPDY_RST_STREAM, 0, 8, 0 };
    assert_int_equal(spdy_control_decode(&head, rst, &control), OK);
    assert_int_equal(control.id, 3);
    assert_int_equal(control.status, SPDY_CANCEL);
    assert_int_equal(control.block.len, 0);

    head = (struct spdy_head){ SPDY_PING, 0, 4, 0 };
    assert_int_equal(spdy_control_decode(&head, ping, &control), OK);
    assert_int_equal(control.id, 0x80000001u);
}

/* RFC 1950, section 8: what zlib calls the id of a dictionary. */
static uint32_t adler32_of(const uint8_t *bytes, size_t n)
{
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < n; i++) {
        a = (a + bytes[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static void the_dictionary_has_the_checksum_of_spdy_3(void **state)
{
    (void)state;
    uint8_t out[SPDY_DICTIONARY_SIZE + 1] = { 0 };
    out[SPDY_DICTIONARY_SIZE] = 0x5a;

    spdy_dictionary(out);

    assert_int_equal(adler32_of(out, SPDY_DICTIONARY_SIZE), 0xe3c6a7c2);
    assert_memory_equal(out, "\0\0\0\7options\0\0\0\4head", 19);
    assert_memory_equal(out + SPDY_DICTIONARY_SIZE - 6, "enq=0.", 6);
    assert_int_equal(out[SPDY_DICTIONARY_SIZE], 0x5a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_the_first_pair_as_the_server_expects),
        cmocka_unit_test(opens_a_later_pair_without_the_zlib_head),
        cmocka_unit_test(the_largest_pair_fits),
        cmocka_unit_test(encodes_the_small_frames),
        cmocka_unit_test(decodes_the_servers_first_answer),
        cmocka_unit_test(decodes_a_data_head),
        cmocka_unit_test(waits_for_every_missing_byte),
        cmocka_unit_test(impossible_heads_are_refused),
        cmocka_unit_test(control_frames_with_wrong_sizes_are_refused),
        cmocka_unit_test(reads_ids_and_statuses),
        cmocka_unit_test(the_dictionary_has_the_checksum_of_spdy_3),
    };
    return cmocka_run_group_tests_name("wire/spdy", tests, NULL, NULL);
}
