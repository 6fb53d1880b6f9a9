/* tests/unit/playground/spdy_headers_test.c - header blocks that were deflated by other
 * implementations and by the test */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <zlib.h>

#include "base/own.h"
#include "wire/spdy.h"
#include "playground/forward/spdy_headers.h"
#include "playground/forward/spdy_server.h"

#define BYTES(...) ((const uint8_t[]){ __VA_ARGS__ })
#define BLOCK(b) ((struct str){ (const char *)(b), sizeof(b) })

/* The output of Go's zlib at level 6 for port 80, request 0: error stream, then data
 * stream. */
static const uint8_t go_first[] = {
    0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2, 0x02, 0x25, 0x3a, 0x48, 0xf9, 0x5b, 0x04,
    0x4a, 0xab, 0x4c, 0x16, 0x06, 0x40, 0x92, 0xb3, 0x08, 0x12, 0x5b, 0x99, 0xa0,
    0x54, 0xcc, 0x68, 0x00, 0x4e, 0x87, 0x25, 0x45, 0xa9, 0x89, 0xb9, 0xd0, 0xa2,
    0x86, 0x35, 0x15, 0x14, 0x11, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff,
};
static const uint8_t go_second[] = {
    0x22, 0x4b, 0x2b, 0xa8, 0x94, 0x4a, 0x04, 0x00, 0x00, 0x00, 0xff, 0xff,
};

/* What the stream server writes: two SYN_REPLYs without headers. */
static const uint8_t reply_first[] = {
    0x78, 0xf9, 0xe3, 0xc6, 0xa7, 0xc2, 0x62, 0x60,
    0x60, 0x60, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff,
};
static const uint8_t reply_second[] = { 0x02, 0x61, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff };

static void freep(struct spdy_inflater **f)
{
    spdy_inflater_destroy(*f);
}

static void assert_header(const struct spdy_header *h, const char *name,
                          const char *value)
{
    if (!str_eq(h->name, str_of(name)) || !str_eq(h->value, str_of(value)))
        fail_msg("%.*s: %.*s", STR_ARG(h->name), STR_ARG(h->value));
}

static void assert_pair_headers(const struct spdy_header *fields, size_t count,
                                const char *streamtype)
{
    assert_int_equal(count, 3);
    assert_header(&fields[0], "port", "80");
    assert_header(&fields[1], "requestid", "0");
    assert_header(&fields[2], "streamtype", streamtype);
}

static void header_blocks_deflated_by_go_are_read(void **state)
{
    (void)state;
    AUTO(freep) struct spdy_inflater *f = spdy_inflater_create();
    struct spdy_header fields[SPDY_HEADERS_MAX];
    size_t count;

    assert_int_equal(spdy_headers_decode(f, BLOCK(go_first), fields, &count), OK);
    assert_pair_headers(fields, count, "error");
    assert_int_equal(spdy_headers_decode(f, BLOCK(go_second), fields, &count), OK);
    assert_pair_headers(fields, count, "data");
}

static void reads_answers_without_headers(void **state)
{
    (void)state;
    AUTO(freep) struct spdy_inflater *f = spdy_inflater_create();
    struct spdy_header fields[SPDY_HEADERS_MAX];
    size_t count = 9;

    assert_int_equal(spdy_headers_decode(f, BLOCK(reply_first), fields, &count), OK);
    assert_int_equal(count, 0);
    count = 9;
    assert_int_equal(spdy_headers_decode(f, BLOCK(reply_second), fields, &count), OK);
    assert_int_equal(count, 0);
}

/* The header block of the frame at *at, which is advanced to the next frame. */
static struct str next_block(const uint8_t **at)
{
    struct spdy_head head;
    struct spdy_control control;
    assert_int_equal(spdy_head_decode(*at, SPDY_HEAD, &head), OK);
    assert_int_equal(spdy_control_decode(&head, *at + SPDY_HEAD, &control), OK);
    *at += SPDY_HEAD + head.length;
    return control.block;
}

static void our_own_header_blocks_are_read(void **state)
{
    (void)state;
    AUTO(freep) struct spdy_inflater *pairs = spdy_inflater_create();
    AUTO(freep) struct spdy_inflater *replies = spdy_inflater_create();
    struct spdy_header fields[SPDY_HEADERS_MAX];
    size_t count;

    for (uint32_t i = 0; i < 3; i++) {
        uint8_t out[SPDY_PAIR_MAX];
        const uint8_t *at = out;
        const struct spdy_pair pair = { 1 + 4 * i, 3 + 4 * i, 80, 0 };

        size_t n = spdy_pair_encode(&pair, i == 0, out);
        struct str block = next_block(&at);
        assert_int_equal(spdy_headers_decode(pairs, block, fields, &count), OK);
        assert_pair_headers(fields, count, "error");
        block = next_block(&at);
        assert_int_equal(spdy_headers_decode(pairs, block, fields, &count), OK);
        assert_pair_headers(fields, count, "data");
        assert_ptr_equal(at, out + n);

        at = out;
        spdy_syn_reply_encode(1, i == 0, out);
        block = next_block(&at);
        assert_int_equal(spdy_headers_decode(replies, block, fields, &count), OK);
        assert_int_equal(count, 0);
    }
}

static void finds_a_field_by_its_name(void **state)
{
    (void)state;
    AUTO(freep) struct spdy_inflater *f = spdy_inflater_create();
    struct spdy_header fields[SPDY_HEADERS_MAX];
    size_t count;

    assert_int_equal(spdy_headers_decode(f, BLOCK(go_first), fields, &count), OK);
    assert_true(str_eq(spdy_headers_find(fields, count, STR("port")), STR("80")));
    assert_null(spdy_headers_find(fields, count, STR("Port")).at);
}

/* zlib as a Go client uses it: dictionary, one stream, sync flush. */
static struct str deflate_once(const uint8_t *plain, size_t n, uint8_t *out, size_t room)
{
    uint8_t dictionary[SPDY_DICTIONARY_SIZE];
    z_stream z = { 0 };
    spdy_dictionary(dictionary);
    assert_int_equal(deflateInit(&z, 9), Z_OK);
    assert_int_equal(deflateSetDictionary(&z, dictionary, sizeof(dictionary)), Z_OK);
    z.next_in = (z_const Bytef *)plain;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
    assert_int_equal(z.avail_in, 0);
    struct str ret = { (const char *)out, room - z.avail_out };
    deflateEnd(&z);
    return ret;
}

static enum err decode_plain(const uint8_t *plain, size_t n, size_t *ret_count)
{
    AUTO(freep) struct spdy_inflater *f = spdy_inflater_create();
    struct spdy_header fields[SPDY_HEADERS_MAX];
    uint8_t block[4096];
    return spdy_headers_decode(f, deflate_once(plain, n, block, sizeof(block)), fields,
                               ret_count);
}

/* One field whose value fills the block up to `size` bytes. */
static enum err decode_block_of(size_t size)
{
    AUTO_FREE uint8_t *plain = xcalloc(1, size);
    size_t count, value = size - 13;
    memcpy(plain, "\0\0\0\1\0\0\0\1x", 9);
    plain[9] = (uint8_t)(value >> 24);
    plain[10] = (uint8_t)(value >> 16);
    plain[11] = (uint8_t)(value >> 8);
    plain[12] = (uint8_t)value;
    return decode_plain(plain, size, &count);
}

static void blocks_beyond_the_limit_are_refused(void **state)
{
    (void)state;
    assert_int_equal(decode_block_of(SPDY_BLOCK_MAX - 1), OK);
    assert_int_equal(decode_block_of(SPDY_BLOCK_MAX), OK);
    assert_int_equal(decode_block_of(SPDY_BLOCK_MAX + 1), ERR_LIMIT);
    assert_int_equal(decode_block_of(4 * SPDY_BLOCK_MAX), ERR_LIMIT);
}

/* `count` fields a, b, ... with empty values; past z come aa, ab, ... */
static enum err decode_fields(size_t count)
{
    uint8_t plain[4 + 16 * (SPDY_HEADERS_MAX + 1)] = { 0 };
    uint8_t *at = plain + 4;
    size_t found;
    plain[3] = (uint8_t)count;
    for (size_t i = 0; i < count; i++) {
        at[3] = 2;
        at[4] = (uint8_t)('a' + i / 26);
        at[5] = (uint8_t)('a' + i % 26);
        at += 10;
    }
    enum err e = decode_plain(plain, (size_t)(at - plain), &found);
    if (!e)
        assert_int_equal(found, count);
    return e;
}

static void fields_beyond_the_limit_are_refused(void **state)
{
    (void)state;
    assert_int_equal(decode_fields(SPDY_HEADERS_MAX - 1), OK);
    assert_int_equal(decode_fields(SPDY_HEADERS_MAX), OK);
    assert_int_equal(decode_fields(SPDY_HEADERS_MAX + 1), ERR_LIMIT);
}

static void inconsistent_blocks_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        size_t len;
        const char *plain;
    } cases[] = {
        /* clang-format off */
        { "nothing at all",         0,  "" },
        { "half a count",           3,  "\0\0\0" },
        { "a field that is absent", 4,  "\0\0\0\1" },
        { "name past the end",      9,  "\0\0\0\1\0\0\0\2x" },
        { "no value",               9,  "\0\0\0\1\0\0\0\1x" },
        { "value past the end",     14, "\0\0\0\1\0\0\0\1x\xff\xff\xff\xffy" },
        { "bytes after the last",   5,  "\0\0\0\0x" },
        { "empty name",             12, "\0\0\0\1\0\0\0\0\0\0\0\0" },
        { "upper case in a name",   13, "\0\0\0\1\0\0\0\1X\0\0\0\0" },
        { "blank in a name",        13, "\0\0\0\1\0\0\0\1 \0\0\0\0" },
        { "the same name twice",    22, "\0\0\0\2\0\0\0\1x\0\0\0\0\0\0\0\1x\0\0\0\0" },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t count = 99;
        enum err e = decode_plain((const uint8_t *)cases[i].plain, cases[i].len, &count);

        if (e != ERR_PROTO || count != 99)
            fail_msg("%s: got \"%s\"", cases[i].why, err_text(e));
    }
}

static enum err decode_raw(const uint8_t *block, size_t n)
{
    AUTO(freep) struct spdy_inflater *f = spdy_inflater_create();
    struct spdy_header fields[SPDY_HEADERS_MAX];
    size_t count;
    return spdy_headers_decode(f, (struct str){ (const char *)block, n }, fields, &count);
}

static void refuses_what_is_not_zlib_with_our_dictionary(void **state)
{
    (void)state;
    assert_int_equal(decode_raw((const uint8_t *)"GET / HTTP/1.1", 14), ERR_PROTO);
    assert_int_equal(decode_raw(BYTES(0x78, 0xf9, 1, 2, 3, 4, 0), 7), ERR_PROTO);
    for (size_t n = 0; n < sizeof(go_first) - 12; n++)
        assert_int_equal(decode_raw(go_first, n), ERR_PROTO);
}

static void every_block_after_a_failure_is_refused(void **state)
{
    (void)state;
    AUTO(freep) struct spdy_inflater *f = spdy_inflater_create();
    struct spdy_header fields[SPDY_HEADERS_MAX];
    size_t count;

    assert_int_equal(spdy_headers_decode(f, STR("no zlib"), fields, &count), ERR_PROTO);
    assert_int_equal(spdy_headers_decode(f, BLOCK(go_first), fields, &count), ERR_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_blocks_deflated_by_go_are_read),
        cmocka_unit_test(reads_answers_without_headers),
        cmocka_unit_test(our_own_header_blocks_are_read),
        cmocka_unit_test(finds_a_field_by_its_name),
        cmocka_unit_test(blocks_beyond_the_limit_are_refused),
        cmocka_unit_test(fields_beyond_the_limit_are_refused),
        cmocka_unit_test(inconsistent_blocks_are_refused),
        cmocka_unit_test(refuses_what_is_not_zlib_with_our_dictionary),
        cmocka_unit_test(every_block_after_a_failure_is_refused),
    };
    return cmocka_run_group_tests_name("playground/spdy_headers", tests, NULL, NULL);
}
