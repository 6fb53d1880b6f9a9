/* tests/unit/tunnel/frame_reader_test.c - SPDY frames as events, for every split of the input
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tunnel/frame_reader.h"
#include "wire/spdy.h"

static struct chunk_pool pool;

static int begin(void **state)
{
    (void)state;
    chunk_pool_init(&pool, 4);
    return 0;
}

static int end(void **state)
{
    (void)state;
    chunk_pool_finish(&pool);
    return 0;
}

struct script {
    uint8_t bytes[512];
    size_t len;
};

static void add_data(struct script *s, uint32_t id, uint8_t flags, const char *text)
{
    uint32_t n = (uint32_t)strlen(text);

    spdy_data_head_encode(id, flags, n, s->bytes + s->len);
    memcpy(s->bytes + s->len + SPDY_HEAD, text, n);
    s->len += SPDY_HEAD + n;
}

/* A frame with a body of two 32-bit words: RST_STREAM, GOAWAY. */
static void add_control(struct script *s, enum spdy_type type, uint8_t id, uint8_t status)
{
    const uint8_t frame[] = { 0x80, 3, 0, (uint8_t)type, 0, 0, 0, 8, 0, 0, 0, id,
                              0,    0, 0, status };

    memcpy(s->bytes + s->len, frame, sizeof(frame));
    s->len += sizeof(frame);
}

/* The events that were read, as one line. */
struct read_back {
    char text[256];
};

static void note(struct read_back *r, const char *what, uint32_t id)
{
    size_t len = strlen(r->text);
    snprintf(r->text + len, sizeof(r->text) - len, "%s%u ", what, id);
}

static enum err read_all(struct frame_reader *reader, struct bufq *in,
                         struct read_back *r)
{
    static const char *const names[] = {
        [FRAME_FIN] = "fin",   [FRAME_RESET] = "reset",   [FRAME_REPLY] = "reply",
        [FRAME_PONG] = "pong", [FRAME_GOAWAY] = "goaway",
    };
    struct diag why;
    enum frame_event event;
    uint32_t id;
    enum err e;

    while (!(e = frame_next(reader, in, &event, &id, &why))) {
        if (event != FRAME_PAYLOAD) {
            note(r, names[event], id);
            continue;
        }
        uint8_t piece[64];
        size_t len = strlen(r->text), n = frame_copy(reader, in, piece, sizeof(piece));
        memcpy(r->text + len, piece, n);
        r->text[len + n] = '\0';
    }
    return e;
}

static struct script one_of_each(void)
{
    struct script s = { .len = 0 };

    add_data(&s, 11, 0, "ab");
    add_data(&s, 11, 0, "");
    add_data(&s, 1, SPDY_FIN, "");
    spdy_ping_encode(5, s.bytes + s.len);
    s.len += SPDY_PING_SIZE;
    add_control(&s, SPDY_RST_STREAM, 11, SPDY_CANCEL);
    add_data(&s, 13, SPDY_FIN, "c");
    add_control(&s, SPDY_GOAWAY, 13, 0);
    return s;
}

static void every_split_of_the_input_gives_the_same_events(void **state)
{
    (void)state;
    const struct script s = one_of_each();

    for (size_t cut = 0; cut <= s.len; cut++) {
        struct frame_reader reader = { 0 };
        struct read_back r = { "" };
        struct bufq in;

        bufq_init(&in, &pool, SIZE_MAX);
        bufq_write(&in, s.bytes, cut);
        assert_int_equal(read_all(&reader, &in, &r), ERR_AGAIN);
        bufq_write(&in, s.bytes + cut, s.len - cut);
        assert_int_equal(read_all(&reader, &in, &r), ERR_AGAIN);
        assert_string_equal(r.text, "abfin1 pong5 reset11 cfin13 goaway13 ");
        assert_true(bufq_empty(&in));
    }
}

/* The caller has no room: the bytes stay, and the event comes again. */
static void payload_that_is_not_taken_is_reported_again(void **state)
{
    (void)state;
    struct frame_reader reader = { 0 };
    struct script s = { .len = 0 };
    enum frame_event event;
    uint32_t id;
    struct bufq in;
    struct diag why;

    bufq_init(&in, &pool, SIZE_MAX);
    add_data(&s, 11, SPDY_FIN, "abc");
    bufq_write(&in, s.bytes, s.len);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(frame_next(&reader, &in, &event, &id, &why), OK);
        assert_int_equal(event, FRAME_PAYLOAD);
        assert_int_equal(id, 11);
        assert_true(frame_is_waiting(&reader, &in));
    }
    assert_int_equal(frame_skip(&reader, &in), 3);
    assert_false(frame_is_waiting(&reader, &in));
    assert_int_equal(frame_next(&reader, &in, &event, &id, &why), OK);
    assert_int_equal(event, FRAME_FIN);
    assert_int_equal(frame_next(&reader, &in, &event, &id, &why), ERR_AGAIN);
}

/* Its payload belongs to no stream, and the frame after it is found. */
static void long_control_frame_is_skipped(void **state)
{
    (void)state;
    uint8_t head[SPDY_HEAD] = { 0x80, 3, 0, SPDY_HEADERS, 0, 0, 1, 0x2c };
    uint8_t body[300] = { 0 };
    struct frame_reader reader = { 0 };
    struct script s = { .len = 0 };
    enum frame_event event;
    uint32_t id;
    struct bufq in;
    struct diag why;

    bufq_init(&in, &pool, SIZE_MAX);
    bufq_write(&in, head, sizeof(head));
    bufq_write(&in, body, sizeof(body));
    add_data(&s, 11, 0, "x");
    bufq_write(&in, s.bytes, s.len);
    assert_int_equal(frame_next(&reader, &in, &event, &id, &why), OK);
    assert_int_equal(event, FRAME_PAYLOAD);
    assert_int_equal(id, 0);
    assert_int_equal(frame_skip(&reader, &in), 300);
    assert_int_equal(frame_next(&reader, &in, &event, &id, &why), OK);
    assert_int_equal(id, 11);
    frame_skip(&reader, &in);
    assert_true(bufq_empty(&in));
}

static void bytes_that_are_not_spdy_are_an_error(void **state)
{
    (void)state;
    struct frame_reader reader = { 0 };
    enum frame_event event;
    uint32_t id;
    struct bufq in;
    struct diag why = { "" };

    bufq_init(&in, &pool, SIZE_MAX);
    bufq_write(&in, "\x80\x02\0\x06\0\0\0\x04", 8);
    assert_int_equal(frame_next(&reader, &in, &event, &id, &why), ERR_PROTO);
    assert_non_null(strstr(why.text, "not SPDY"));
    bufq_clear(&in);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_split_of_the_input_gives_the_same_events),
        TEST(payload_that_is_not_taken_is_reported_again),
        TEST(long_control_frame_is_skipped),
        TEST(bytes_that_are_not_spdy_are_an_error),
    };
    return cmocka_run_group_tests_name("tunnel/frame_reader", tests, NULL, NULL);
}
