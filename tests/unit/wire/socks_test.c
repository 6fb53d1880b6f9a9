/* tests/unit/wire/socks_test.c - messages of SOCKS clients, by RFC 1928, RFC 1929 and SOCKS 4a */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "wire/socks.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

struct example {
    const char *what;
    const char *wire;
    size_t len;
    unsigned command, port;
    const char *host;
};

#define WIRE(text) text, sizeof(text) - 1

static const struct example version_5[] = {
    /* clang-format off */
    { "a name",  WIRE("\5\1\0\3\010web.shop\0\120"), 1, 80, "web.shop" },
    { "an IPv4 address", WIRE("\5\1\0\1\12\140\0\1\37\220"), 1, 8080, "10.96.0.1" },
    { "an IPv6 address", WIRE("\5\1\0\4\375\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7\1\273"), 1, 443, "fd00::7" },
    { "BIND", WIRE("\5\2\0\1\0\0\0\0\0\0"), 2, 0, "0.0.0.0" },
    { "UDP ASSOCIATE", WIRE("\5\3\0\1\0\0\0\0\0\0"), 3, 0, "0.0.0.0" },
}; /* clang-format on */

static const struct example version_4[] = {
    /* clang-format off */
    { "an address", WIRE("\4\1\0\120\12\140\0\1me\0"), 1, 80, "10.96.0.1" },
    { "an address, no user", WIRE("\4\1\0\120\12\140\0\1\0"), 1, 80, "10.96.0.1" },
    { "a name", WIRE("\4\1\0\120\0\0\0\1me\0web.shop\0"), 1, 80, "web.shop" },
    { "0.0.0.0 is an address", WIRE("\4\2\0\0\0\0\0\0\0"), 2, 0, "0.0.0.0" },
}; /* clang-format on */

typedef enum err decode_fn(const uint8_t *, size_t, struct socks_request *, size_t *);

static void check(const struct example *x, decode_fn *decode)
{
    struct socks_request r = { .port = 4242 };
    size_t used = 99;

    for (size_t cut = 0; cut < x->len; cut++)
        if (decode((const uint8_t *)x->wire, cut, &r, &used) != ERR_AGAIN || used != 99 ||
            r.port != 4242)
            fail_msg("%s, cut at %zu", x->what, cut);
    if (decode((const uint8_t *)x->wire, x->len, &r, &used))
        fail_msg("%s", x->what);
    assert_int_equal(used, x->len);
    assert_int_equal(r.command, x->command);
    assert_int_equal(r.port, x->port);
    assert_string_equal(r.host, x->host);
}

static void decodes_requests_cut_at_any_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(version_5); i++)
        check(&version_5[i], socks5_request_decode);
    for (size_t i = 0; i < ARRAY_LEN(version_4); i++)
        check(&version_4[i], socks4_request_decode);
}

static void bytes_after_a_request_are_not_part_of_it(void **state)
{
    (void)state;
    struct socks_request r;
    size_t used;

    assert_int_equal(socks5_request_decode(BYTES("\5\1\0\3\1a\0\120GET /"), &r, &used),
                     OK);
    assert_int_equal(used, 8);
    assert_int_equal(socks4_request_decode(BYTES("\4\1\0\120\1\2\3\4\0GET"), &r, &used),
                     OK);
    assert_int_equal(used, 9);
}

static void refuses_illegal_requests(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        const char *wire;
        size_t len;
        enum err wanted;
        decode_fn *decode;
    } cases[] = {
        /* clang-format off */
        { "version 6", WIRE("\6"), ERR_PROTO, socks5_request_decode },
        { "command 0", WIRE("\5\0"), ERR_PROTO, socks5_request_decode },
        { "command 4", WIRE("\5\4"), ERR_PROTO, socks5_request_decode },
        { "reserved byte", WIRE("\5\1\1"), ERR_PROTO, socks5_request_decode },
        { "address type 2", WIRE("\5\1\0\2"), ERR_UNSUPPORTED, socks5_request_decode },
        { "empty name", WIRE("\5\1\0\3\0"), ERR_PROTO, socks5_request_decode },
        { "NUL in a name", WIRE("\5\1\0\3\3a\0b\0\120"), ERR_PROTO, socks5_request_decode },
        { "line feed in a name", WIRE("\5\1\0\3\3a\nb\0\120"), ERR_PROTO, socks5_request_decode },
        { "version 5 to 4", WIRE("\5"), ERR_PROTO, socks4_request_decode },
        { "command 3 of 4", WIRE("\4\3"), ERR_PROTO, socks4_request_decode },
        { "empty name of 4a", WIRE("\4\1\0\120\0\0\0\1\0\0"), ERR_PROTO, socks4_request_decode },
        { "blank in a name of 4a", WIRE("\4\1\0\120\0\0\0\1\0a b\0"), ERR_PROTO, socks4_request_decode },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct socks_request r;
        size_t used;
        enum err e =
            cases[i].decode((const uint8_t *)cases[i].wire, cases[i].len, &r, &used);
        if (e != cases[i].wanted)
            fail_msg("%s: got \"%s\"", cases[i].what, err_text(e));
    }
}

/* A text of a version 4 request may have 255 bytes: one more is refused before its end. */
static void bounds_texts_of_version_4(void **state)
{
    (void)state;
    uint8_t wire[SOCKS4_MESSAGE_MAX + 1] = { 4, 1, 0, 80, 0, 0, 0, 1 };
    struct socks_request r;
    size_t used;

    memset(wire + 8, 'u', sizeof(wire) - 8);
    assert_int_equal(socks4_request_decode(wire, 8 + 256, &r, &used), ERR_AGAIN);
    assert_int_equal(socks4_request_decode(wire, 8 + 257, &r, &used), ERR_LIMIT);
    wire[8 + 255] = 0;
    assert_int_equal(socks4_request_decode(wire, 8 + 256 + 257, &r, &used), ERR_LIMIT);
    wire[8 + 256 + 255] = 0;
    assert_int_equal(socks4_request_decode(wire, SOCKS4_MESSAGE_MAX, &r, &used), OK);
    assert_int_equal(strlen(r.host), 255);
}

static void lists_the_offered_methods(void **state)
{
    (void)state;
    struct socks5_offer o;
    size_t used;

    assert_int_equal(socks5_offer_decode(BYTES("\5\1\0"), &o, &used), OK);
    assert_true(o.anonymous && !o.password);
    assert_int_equal(socks5_offer_decode(BYTES("\5\2\1\2\5"), &o, &used), OK);
    assert_true(!o.anonymous && o.password);
    assert_int_equal(used, 4);
    assert_int_equal(socks5_offer_decode(BYTES("\5\3\0\2"), &o, &used), ERR_AGAIN);
    assert_int_equal(socks5_offer_decode(BYTES("\5\0"), &o, &used), ERR_PROTO);
    assert_int_equal(socks5_offer_decode(BYTES("\4\1"), &o, &used), ERR_PROTO);
}

static void decodes_user_and_password_cut_at_any_byte(void **state)
{
    (void)state;
    static const char wire[] = "\1\4user\4pass";
    struct socks5_login l;
    size_t used = 99;

    for (size_t cut = 0; cut < sizeof(wire) - 1; cut++)
        assert_int_equal(socks5_login_decode((const uint8_t *)wire, cut, &l, &used),
                         ERR_AGAIN);
    assert_int_equal(socks5_login_decode(BYTES(wire), &l, &used), OK);
    assert_int_equal(used, sizeof(wire) - 1);
    assert_string_equal(l.user, "user");
    assert_string_equal(l.password, "pass");
    assert_int_equal(socks5_login_decode(BYTES("\1\0\0"), &l, &used), OK);
    assert_string_equal(l.password, "");
    assert_int_equal(socks5_login_decode(BYTES("\1\2a\0\1b"), &l, &used), ERR_PROTO);
    assert_int_equal(socks5_login_decode(BYTES("\5"), &l, &used), ERR_PROTO);
}

static void encodes_replies(void **state)
{
    (void)state;
    uint8_t out[SOCKS_REPLY_MAX];

    assert_int_equal(socks5_choice_encode(SOCKS5_NO_METHOD, out), 2);
    assert_memory_equal(out, "\5\377", 2);
    assert_int_equal(socks5_login_reply_encode(false, out), 2);
    assert_memory_equal(out, "\1\1", 2);
    assert_int_equal(socks_reply_encode(5, SOCKS_REFUSED, out), 10);
    assert_memory_equal(out, "\5\5\0\1\0\0\0\0\0\0", 10);
    assert_int_equal(socks_reply_encode(4, SOCKS_SUCCEEDED, out), 8);
    assert_memory_equal(out, "\0\x5a\0\0\0\0\0\0", 8);
    assert_int_equal(socks_reply_encode(4, SOCKS_REFUSED, out), 8);
    assert_memory_equal(out, "\0\x5b\0\0\0\0\0\0", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_requests_cut_at_any_byte),
        cmocka_unit_test(bytes_after_a_request_are_not_part_of_it),
        cmocka_unit_test(refuses_illegal_requests),
        cmocka_unit_test(bounds_texts_of_version_4),
        cmocka_unit_test(lists_the_offered_methods),
        cmocka_unit_test(decodes_user_and_password_cut_at_any_byte),
        cmocka_unit_test(encodes_replies),
    };
    return cmocka_run_group_tests_name("wire/socks", tests, NULL, NULL);
}
