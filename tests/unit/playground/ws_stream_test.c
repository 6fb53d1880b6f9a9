#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "net/loop.h"
#include "playground/forward/ws_stream.h"
#include "wire/websocket.h"

/* `far` is the client's end of the bytes under the WebSocket. */
struct fixture {
    struct loop *loop;
    struct stream *far, *ws;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->loop = loop_create();
    struct stream_pair pair =
        mem_stream_pair(loop_sched(f->loop), loop_pool(f->loop), 64 * 1024);
    f->far = pair.a;
    f->ws = ws_stream_open(f->loop, pair.b);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    stream_close(f->ws);
    stream_close(f->far);
    loop_destroy(f->loop);
    free(f);
    return 0;
}

static void settle(struct fixture *f)
{
    stream_update(f->far);
    stream_update(f->ws);
    loop_run_once(f->loop, 0);
}

/* One masked frame, as clients send them. */
static void send_frame(struct fixture *f, enum websocket_opcode opcode, bool fin,
                       const char *text)
{
    struct websocket_header h = { .opcode = opcode,
                                  .fin = fin,
                                  .masked = true,
                                  .mask = { 1, 2, 3, 4 },
                                  .payload = strlen(text) };
    uint8_t head[WEBSOCKET_HEADER_MAX];
    AUTO_FREE char *payload = xstrdup(text);
    websocket_mask((uint8_t *)payload, strlen(text), h.mask, 0);
    bufq_write(&f->far->out, head, websocket_header_encode(&h, head));
    bufq_write(&f->far->out, payload, strlen(text));
}

static void assert_in(struct bufq *in, const char *expected)
{
    char got[256];
    size_t n = bufq_read(in, got, sizeof(got) - 1);
    got[n] = '\0';
    assert_string_equal(got, expected);
}

static void bytes_are_read_from_frames_of_any_size(void **state)
{
    struct fixture *f = *state;
    send_frame(f, WEBSOCKET_BINARY, false, "one ");
    send_frame(f, WEBSOCKET_CONTINUATION, false, "");
    send_frame(f, WEBSOCKET_CONTINUATION, true, "two ");
    send_frame(f, WEBSOCKET_BINARY, true, "three");
    settle(f);
    assert_in(&f->ws->in, "one two three");
}

static void frames_are_read_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    struct bufq whole;
    bufq_init(&whole, loop_pool(f->loop), 1024);
    send_frame(f, WEBSOCKET_BINARY, true, "hello");
    bufq_move(&whole, &f->far->out);
    while (!bufq_empty(&whole)) {
        bufq_move_n(&f->far->out, &whole, 1);
        settle(f);
    }
    assert_in(&f->ws->in, "hello");
}

static void answers_a_ping_in_the_middle_of_a_message(void **state)
{
    struct fixture *f = *state;
    send_frame(f, WEBSOCKET_BINARY, false, "he");
    send_frame(f, WEBSOCKET_PING, true, "?");
    send_frame(f, WEBSOCKET_CONTINUATION, true, "llo");
    settle(f);
    assert_in(&f->ws->in, "hello");
    assert_in(&f->far->in, "\x8a\x01?");
}

static void sends_binary_messages_unmasked(void **state)
{
    struct fixture *f = *state;
    bufq_write(&f->ws->out, "hello", 5);
    settle(f);
    assert_in(&f->far->in, "\x82\x05hello");
}

/* As the API server's library does: a message larger than its buffer ends with an empty
 * frame. */
static void a_long_message_comes_in_two_frames(void **state)
{
    struct fixture *f = *state;
    static const char zeros[5000];
    uint8_t head[4];

    bufq_write(&f->ws->out, zeros, sizeof(zeros));
    settle(f);
    assert_int_equal(f->far->in.len, 4 + sizeof(zeros) + 2);
    bufq_read(&f->far->in, head, sizeof(head));
    assert_memory_equal(head, "\x02\x7e\x13\x88", 4);
    bufq_skip(&f->far->in, sizeof(zeros));
    bufq_read(&f->far->in, head, 2);
    assert_memory_equal(head, "\x80\x00", 2);
}

static void a_close_is_answered_and_ends_the_stream(void **state)
{
    struct fixture *f = *state;
    send_frame(f, WEBSOCKET_CLOSE, true, "\x03\xe8");
    settle(f);
    assert_true(f->ws->in_eof);
    assert_int_equal(f->ws->end.verdict, V_CLEAN);
    assert_in(&f->far->in, "\x88\x02\x03\xe8");
}

static void refuses_unmasked_frames(void **state)
{
    struct fixture *f = *state;
    bufq_write(&f->far->out, "\x82\x01x", 3);
    settle(f);
    assert_true(f->ws->broken);
}

static void refuses_text(void **state)
{
    struct fixture *f = *state;
    send_frame(f, WEBSOCKET_TEXT, true, "x");
    settle(f);
    assert_true(f->ws->broken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_are_read_from_frames_of_any_size, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(frames_are_read_byte_by_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_a_ping_in_the_middle_of_a_message, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sends_binary_messages_unmasked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_message_comes_in_two_frames, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_close_is_answered_and_ends_the_stream, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(refuses_unmasked_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_text, setup, teardown),
    };
    return cmocka_run_group_tests_name("playground/ws_stream", tests, NULL, NULL);
}
