/* tests/unit/wire/tls_hello_test.c - ClientHellos in pieces, in several records, and
 * damaged */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "wire/tls_hello.h"

/* A message that is written with lengths filled in later. */
struct bytes {
    uint8_t at[TLS_HELLO_WIRE_MAX * 2];
    size_t len;
};

static void put(struct bytes *b, const void *in, size_t n)
{
    memcpy(b->at + b->len, in, n);
    b->len += n;
}

static void put_number(struct bytes *b, size_t value, size_t size)
{
    while (size--)
        b->at[b->len++] = (uint8_t)(value >> (8 * size));
}

static void set_number(struct bytes *b, size_t at, size_t value, size_t size)
{
    while (size--)
        b->at[at++] = (uint8_t)(value >> (8 * size));
}

static void put_extension(struct bytes *b, size_t type, const void *in, size_t n)
{
    put_number(b, type, 2);
    put_number(b, n, 2);
    put(b, in, n);
}

static void put_server_name(struct bytes *b, const char *name, size_t n)
{
    put_number(b, 0, 2);
    put_number(b, n + 5, 2);
    put_number(b, n + 3, 2);
    put_number(b, 0, 1);
    put_number(b, n, 2);
    put(b, name, n);
}

/* The handshake message around these extensions. */
static struct bytes hello_of(const struct bytes *extensions)
{
    static const uint8_t start[] = { 1, 0, 0, 0, 3, 3 };
    static const uint8_t rest[] = { 2, 'i', 'd', 0, 2, 0x13, 1, 1, 0 };
    uint8_t random[32] = { 7 };
    struct bytes b = { .len = 0 };

    put(&b, start, sizeof(start));
    put(&b, random, sizeof(random));
    put(&b, rest, sizeof(rest));
    if (extensions) {
        put_number(&b, extensions->len, 2);
        put(&b, extensions->at, extensions->len);
    }
    set_number(&b, 1, b.len - 4, 3);
    return b;
}

/* In records of `size` bytes each. */
static struct bytes in_records(const struct bytes *message, size_t size)
{
    struct bytes b = { .len = 0 };

    for (size_t at = 0; at < message->len; at += size) {
        size_t n = message->len - at < size ? message->len - at : size;
        put(&b, "\x16\3\1", 3);
        put_number(&b, n, 2);
        put(&b, message->at + at, n);
    }
    return b;
}

static struct bytes usual(void)
{
    static const char alpn[] = "\0\14\2h2\10http/1.1";
    struct bytes extensions = { .len = 0 };

    put_server_name(&extensions, "web.shop", 8);
    put_extension(&extensions, 16, alpn, sizeof(alpn) - 1);
    put_extension(&extensions, 43, "\2\3\4", 3);
    return hello_of(&extensions);
}

static void reads_server_name_and_alpn(void **state)
{
    (void)state;
    struct tls_hello h;
    struct bytes message = usual(), wire = in_records(&message, 16384);

    assert_int_equal(tls_hello_decode(wire.at, wire.len, &h, NULL), OK);
    assert_string_equal(h.server_name, "web.shop");
    assert_string_equal(h.alpn, "h2,http/1.1");
    assert_false(h.ech);
}

/* Cut at any byte it is incomplete, in one record and in many. */
static void reads_a_hello_in_pieces(void **state)
{
    (void)state;
    static const size_t sizes[] = { 16384, 40, 7, 1 };
    struct bytes message = usual();

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct bytes wire = in_records(&message, sizes[i]);
        struct tls_hello h = { .server_name = "untouched" };
        for (size_t cut = 0; cut < wire.len; cut++)
            assert_int_equal(tls_hello_decode(wire.at, cut, &h, NULL), ERR_AGAIN);
        assert_string_equal(h.server_name, "untouched");
        assert_int_equal(tls_hello_decode(wire.at, wire.len, &h, NULL), OK);
        assert_string_equal(h.server_name, "web.shop");
    }
}

static void a_hello_without_extensions_has_no_name(void **state)
{
    (void)state;
    struct tls_hello h;
    struct bytes message = hello_of(NULL), wire = in_records(&message, 16384);

    assert_int_equal(tls_hello_decode(wire.at, wire.len, &h, NULL), OK);
    assert_string_equal(h.server_name, "");
    assert_string_equal(h.alpn, "");
}

static void reports_encrypted_client_hello_with_its_outer_name(void **state)
{
    (void)state;
    struct bytes extensions = { .len = 0 };
    struct tls_hello h;

    put_extension(&extensions, 0xfe0d, "\0", 1);
    put_server_name(&extensions, "public.example", 14);
    struct bytes message = hello_of(&extensions), wire = in_records(&message, 16384);
    assert_int_equal(tls_hello_decode(wire.at, wire.len, &h, NULL), OK);
    assert_true(h.ech);
    assert_string_equal(h.server_name, "public.example");
}

/* An extension of `n` bytes besides the name. */
static enum err decode_padded(size_t n, size_t record)
{
    struct bytes extensions = { .len = 0 };
    struct tls_hello h;

    put_server_name(&extensions, "a.b", 3);
    put_number(&extensions, 21, 2);
    put_number(&extensions, n, 2);
    memset(extensions.at + extensions.len, 0, n);
    extensions.len += n;
    struct bytes message = hello_of(&extensions), wire = in_records(&message, record);
    return tls_hello_decode(wire.at, wire.len, &h, NULL);
}

static void bounds_the_size_of_a_hello(void **state)
{
    (void)state;
    struct bytes extensions = { .len = 0 };

    put_server_name(&extensions, "a.b", 3);
    size_t others = hello_of(&extensions).len - 4 + 4; /* the head of the padding */
    assert_int_equal(decode_padded(TLS_HELLO_MAX - others, 16384), OK);
    assert_int_equal(decode_padded(TLS_HELLO_MAX - others + 1, 16384), ERR_LIMIT);
}

/* Five bytes of head for each byte: the records have a limit of their own. */
static void bounds_the_size_of_its_records(void **state)
{
    (void)state;
    assert_int_equal(decode_padded(1000, 1), OK);
    assert_int_equal(decode_padded(4000, 1), ERR_LIMIT);
}

static void refuses_damaged_hellos(void **state)
{
    (void)state;
    struct bytes none = { .len = 0 }, two = { .len = 0 }, nul = { .len = 0 };
    struct bytes loose = { .len = 0 }, alpn = { .len = 0 };
    put_server_name(&none, "", 0);
    put_server_name(&two, "a.b", 3);
    put_server_name(&two, "c.d", 3);
    put_server_name(&nul, "a\0b", 3);
    put(&loose, "\0\1\0\11", 4);
    put_extension(&alpn, 16, "\0\3\5h2", 5);
    const struct {
        const char *what;
        const struct bytes *extensions;
    } cases[] = {
        { "an empty name", &none },
        { "two names", &two },
        { "NUL in a name", &nul },
        { "an extension beyond the end", &loose },
        { "a protocol beyond the end", &alpn },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes message = hello_of(cases[i].extensions);
        struct bytes wire = in_records(&message, 16384);
        struct tls_hello h;
        struct diag why = { "" };
        enum err e = tls_hello_decode(wire.at, wire.len, &h, &why);
        if (e != ERR_PROTO || !why.text[0])
            fail_msg("%s: got \"%s\" (%s)", cases[i].what, err_text(e), why.text);
    }
}

static void refuses_other_records_and_messages(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint8_t wire[10];
        size_t len;
    } cases[] = {
        /* clang-format off */
        { "an alert",        { 0x15 }, 1 },
        { "version 2.0",     { 0x16, 2 }, 2 },
        { "an empty record", { 0x16, 3, 1, 0, 0 }, 5 },
        { "a record over 16 KiB", { 0x16, 3, 1, 0x40, 1 }, 5 },
        { "a ServerHello",   { 0x16, 3, 1, 0, 5, 2 }, 6 },
        { "an alert after a part", { 0x16, 3, 1, 0, 1, 1, 0x15, 3, 3 }, 9 },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tls_hello h;
        enum err e = tls_hello_decode(cases[i].wire, cases[i].len, &h, NULL);
        if (e != ERR_PROTO)
            fail_msg("%s: got \"%s\"", cases[i].what, err_text(e));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_server_name_and_alpn),
        cmocka_unit_test(reads_a_hello_in_pieces),
        cmocka_unit_test(a_hello_without_extensions_has_no_name),
        cmocka_unit_test(reports_encrypted_client_hello_with_its_outer_name),
        cmocka_unit_test(bounds_the_size_of_a_hello),
        cmocka_unit_test(bounds_the_size_of_its_records),
        cmocka_unit_test(refuses_damaged_hellos),
        cmocka_unit_test(refuses_other_records_and_messages),
    };
    return cmocka_run_group_tests_name("wire/tls_hello", tests, NULL, NULL);
}
