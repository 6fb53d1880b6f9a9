/* tests/unit/wire/websocket_test.c - frame headers and masks, by RFC 6455 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "wire/websocket.h"

/* A final, masked text frame of five bytes: RFC 6455, section 5.7. */
static const uint8_t masked_hello[] = {
    0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
};

static void decodes_the_rfc_example(void **state)
{
    (void)state;
    struct websocket_header h;
    size_t used;

    assert_int_equal(
        websocket_header_decode(masked_hello, sizeof(masked_hello), &h, &used), OK);
    assert_int_equal(used, 6);
    assert_int_equal(h.opcode, WEBSOCKET_TEXT);
    assert_true(h.fin);
    assert_true(h.masked);
    assert_int_equal(h.payload, 5);

    uint8_t text[5];
    memcpy(text, masked_hello + used, sizeof(text));
    websocket_mask(text, sizeof(text), h.mask, 0);
    assert_memory_equal(text, "Hello", sizeof(text));
}

/* A header cut at any byte is incomplete, never wrong, and writes nothing. */
static void waits_for_every_missing_byte(void **state)
{
    (void)state;
    static const uint8_t longest[] = { 0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4 };

    for (size_t len = 0; len < sizeof(longest); len++) {
        struct websocket_header h = { .opcode = WEBSOCKET_PONG, .payload = 42 };
        size_t used = 99;

        assert_int_equal(websocket_header_decode(longest, len, &h, &used), ERR_AGAIN);
        assert_int_equal(h.opcode, WEBSOCKET_PONG);
        assert_int_equal(h.payload, 42);
        assert_int_equal(used, 99);
    }
}

static void refuses_what_the_rfc_forbids(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        uint8_t wire[10];
    } cases[] = {
        /* clang-format off */
        { "reserved bit set",            { 0xc1, 0x00 } },
        { "unknown opcode",              { 0x83, 0x00 } },
        { "unknown control opcode",      { 0x8b, 0x00 } },
        { "fragmented control frame",    { 0x09, 0x00 } },
        { "control payload over 125",    { 0x89, 0x7e, 0x00, 0x7e } },
        { "length with its top bit set", { 0x82, 0x7f, 0x80 } },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct websocket_header h;
        size_t used;
        enum err e =
            websocket_header_decode(cases[i].wire, sizeof(cases[i].wire), &h, &used);

        if (e != ERR_PROTO)
            fail_msg("%s: got \"%s\"", cases[i].why, err_text(e));
    }
}

static void encodes_what_it_decodes_at_every_length_limit(void **state)
{
    (void)state;
    static const uint64_t lengths[] = { 0, 1, 125, 126, 127, 65535, 65536, 1ull << 62 };

    for (size_t i = 0; i < ARRAY_LEN(lengths) * 2; i++) {
        struct websocket_header in = { .opcode = WEBSOCKET_BINARY,
                                       .fin = i % 3 != 0,
                                       .masked = i % 2,
                                       .mask = { 1, 2, 3, 4 },
                                       .payload = lengths[i / 2] };
        uint8_t wire[WEBSOCKET_HEADER_MAX];
        struct websocket_header out;
        size_t used, n = websocket_header_encode(&in, wire);

        assert_int_equal(websocket_header_decode(wire, n, &out, &used), OK);
        assert_int_equal(used, n);
        assert_int_equal(out.fin, in.fin);
        assert_int_equal(out.masked, in.masked);
        assert_int_equal(out.payload, in.payload);
    }
}

static void masking_does_not_depend_on_how_the_payload_is_split(void **state)
{
    (void)state;
    const uint8_t mask[4] = { 0xde, 0xad, 0xbe, 0xef };

    for (size_t cut = 0; cut <= 33; cut++) {
        uint8_t whole[33], parts[33];
        for (size_t i = 0; i < sizeof(whole); i++)
            whole[i] = parts[i] = (uint8_t)i;
        websocket_mask(whole, sizeof(whole), mask, 0);
        websocket_mask(parts, cut, mask, 0);
        websocket_mask(parts + cut, sizeof(parts) - cut, mask, cut);
        assert_memory_equal(whole, parts, sizeof(whole));
        for (size_t i = 0; i < sizeof(whole); i++)
            assert_int_equal(whole[i], i ^ mask[i & 3]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_the_rfc_example),
        cmocka_unit_test(waits_for_every_missing_byte),
        cmocka_unit_test(refuses_what_the_rfc_forbids),
        cmocka_unit_test(encodes_what_it_decodes_at_every_length_limit),
        cmocka_unit_test(masking_does_not_depend_on_how_the_payload_is_split),
    };
    return cmocka_run_group_tests_name("wire/websocket", tests, NULL, NULL);
}
