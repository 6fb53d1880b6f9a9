/* tests/unit/tunnel/websocket_test.c - the WebSocket transport against a plain far end */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/own.h"
#include "tunnel/websocket.h"
#include "wire/websocket.h"

static struct loop *loop;
static struct stream *client, *below,
    *far; /* the transport, the stream below it, the far end of that */
static struct task wake;
static unsigned wakes;

static void on_wake(struct task *task)
{
    (void)task;
    wakes++;
}

static void run(void)
{
    sched_run(loop_sched(loop), loop_sched(loop)->now);
}

static int begin(void **state)
{
    (void)state;
    loop = loop_create();
    struct stream_pair ends =
        mem_stream_pair(loop_sched(loop), loop_pool(loop), 64 * 1024);
    far = ends.b;
    below = ends.a;
    client = websocket_open(loop, below);
    task_init(&wake, loop_sched(loop), RANK_WORK, on_wake);
    client->wake = &wake;
    wakes = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    stream_close(client);
    task_cancel(&wake);
    run();
    stream_close(far);
    loop_destroy(loop);
    return 0;
}

static void far_sends(const void *bytes, size_t n)
{
    assert_int_equal(bufq_write(&far->out, bytes, n), n);
    stream_update(far);
}

static void far_sends_frame(enum websocket_opcode opcode, bool fin, const char *text)
{
    struct websocket_header h = { .opcode = opcode, .fin = fin, .payload = strlen(text) };
    uint8_t head[WEBSOCKET_HEADER_MAX];
    far_sends(head, websocket_header_encode(&h, head));
    far_sends(text, strlen(text));
}

/* Removes one masked frame from the received bytes; returns its opcode. */
static enum websocket_opcode far_takes(uint8_t *payload, size_t room, size_t *ret_n)
{
    uint8_t bytes[WEBSOCKET_HEADER_MAX];
    struct websocket_header h;
    size_t used, n = bufq_copy(&far->in, 0, bytes, sizeof(bytes));

    assert_int_equal(websocket_header_decode(bytes, n, &h, &used), OK);
    assert_true(h.masked);
    assert_true(h.fin);
    assert_true(h.payload <= room);
    bufq_skip(&far->in, used);
    *ret_n = bufq_read(&far->in, payload, (size_t)h.payload);
    assert_int_equal(*ret_n, h.payload);
    websocket_mask(payload, *ret_n, h.mask, 0);
    return h.opcode;
}

static void expect_in(const char *text)
{
    char got[256];
    size_t n = bufq_read(&client->in, got, sizeof(got));
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, n);
}

static void queued_bytes_are_one_masked_frame(void **state)
{
    (void)state;
    uint8_t payload[64];
    size_t n;

    bufq_write(&client->out, "hello ", 6);
    bufq_write(&client->out, "world", 5);
    stream_update(client);
    run();
    assert_int_equal(far_takes(payload, sizeof(payload), &n), WEBSOCKET_BINARY);
    assert_int_equal(n, 11);
    assert_memory_equal(payload, "hello world", 11);
    assert_true(bufq_empty(&far->in));
    assert_true(wakes > 0); /* there is room again */
}

static void large_amounts_arrive_whole(void **state)
{
    (void)state;
    static uint8_t payload[CHUNK_SIZE];
    size_t sent = 0, got = 0;

    while (got < 300000) {
        uint8_t part[3001];
        size_t n = bufq_room(&client->out);
        n = n < sizeof(part) ? n : sizeof(part);
        for (size_t i = 0; i < n; i++)
            part[i] = (uint8_t)((sent + i) * 7);
        sent += bufq_write(&client->out, part, n);
        stream_update(client);
        if (sent % 4)
            continue;
        run();
        while (!bufq_empty(&far->in)) {
            assert_int_equal(far_takes(payload, sizeof(payload), &n), WEBSOCKET_BINARY);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(payload[i], (uint8_t)((got + i) * 7));
            got += n;
        }
        stream_update(far);
    }
}

static void messages_of_any_shape_are_read_as_bytes(void **state)
{
    (void)state;
    static const uint8_t wire[] = {
        0x02, 3, 'o', 'n',  'e', 0x00, 0,   0x89, 2, 'h', 'i', /* a ping between */
        0x80, 1, ' ', 0x82, 0,   0x82, 126, 0,    3, 't', 'w', 'o',
    };

    for (size_t cut = 0; cut < sizeof(wire); cut++) {
        uint8_t pong[8];
        size_t n;
        far_sends(wire, cut);
        run();
        far_sends(wire + cut, sizeof(wire) - cut);
        run();
        expect_in("one two");
        assert_int_equal(far_takes(pong, sizeof(pong), &n), WEBSOCKET_PONG);
        assert_int_equal(n, 2);
        assert_memory_equal(pong, "hi", 2);
        assert_int_equal(client->end.verdict, V_OPEN);
    }
}

static void frames_that_a_server_may_not_send_break_the_stream(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
        { "\x81\x01x", 3 },          /* text */
        { "\x82\x81mask", 6 },       /* masked */
        { "\x80\x01x", 3 },          /* a continuation of nothing */
        { "\x02\x01x\x02\x01x", 6 }, /* a message inside another */
        { "\xc2\x01x", 3 },          /* a reserved bit */
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        far_sends(cases[i].bytes, cases[i].n);
        run();
        assert_int_equal(client->end.verdict, V_RESET);
        assert_true(client->broken);
        assert_true(client->end.why.text[0]);
        end(NULL);
        begin(NULL);
    }
}

static void a_close_is_an_orderly_end(void **state)
{
    (void)state;

    far_sends_frame(WEBSOCKET_BINARY, true, "last words");
    far_sends_frame(WEBSOCKET_CLOSE, true, "\x03\xe8");
    run();
    expect_in("last words");
    assert_int_equal(client->end.verdict, V_CLEAN);
}

/* The connection below ends without a close: cut, wherever that happens. */
static void an_end_without_a_close_is_a_reset(void **state)
{
    (void)state;
    static const char wire[] = "\x82\x04\x61\x62\x63\x64";

    for (size_t cut = 0; cut < sizeof(wire); cut++) {
        for (int broken = 0; broken < 2; broken++) {
            far_sends(wire, cut);
            run();
            if (broken)
                stream_abort(TAKE(far));
            else
                stream_shutdown(far);
            run();
            assert_int_equal(client->end.verdict, V_RESET);
            assert_int_equal(client->in.len, cut < 2 ? 0 : cut < 6 ? cut - 2 : 4);
            end(NULL);
            begin(NULL);
        }
    }
}

/* A reader that is behind gets everything before the end. */
static void the_end_waits_for_a_slow_reader(void **state)
{
    (void)state;
    AUTO_FREE uint8_t *zeros = xcalloc(1, 60000);
    size_t got = 0;

    for (int i = 0; i < 3; i++) { /* more than `in` holds: the rest waits below */
        uint8_t head[] = { 0x82, 126, 0x9c, 0x40 }; /* 40000 */
        far_sends(head, sizeof(head));
        far_sends(zeros, 40000);
        run();
    }
    stream_shutdown(far);
    run();
    assert_int_equal(client->end.verdict, V_OPEN);
    while (!bufq_empty(&client->in)) {
        size_t n = client->in.len < 9000 ? client->in.len : 9000;
        bufq_skip(&client->in, n);
        got += n;
        stream_update(client);
        run();
    }
    assert_int_equal(got, 120000);
    assert_int_equal(client->end.verdict, V_RESET);
}

/* An upload, to where nothing is taken any more. */
static void fill_the_way_out(void)
{
    static const char block[1000];

    far->paused = true;
    for (int i = 0; i < 400; i++) {
        bufq_write(&client->out, block, sizeof(block));
        stream_update(client);
        run();
    }
}

static size_t far_takes_all_and_counts_pongs(void)
{
    static uint8_t payload[CHUNK_SIZE];
    size_t n, pongs = 0;

    far->paused = false;
    stream_update(far);
    run();
    while (!bufq_empty(&far->in)) {
        pongs += far_takes(payload, sizeof(payload), &n) == WEBSOCKET_PONG;
        stream_update(far);
        run();
    }
    return pongs;
}

static void a_pong_without_room_is_omitted(void **state)
{
    (void)state;

    fill_the_way_out();
    for (int i = 0; i < 1000; i++) {
        far_sends_frame(WEBSOCKET_PING, true, "are you still with us?");
        run();
    }
    assert_int_equal(client->end.verdict, V_OPEN);
    assert_in_range(far_takes_all_and_counts_pongs(), 1, 999);
    assert_true(bufq_empty(&client->out)); /* all of it whole, and nothing else missing */
    far_sends_frame(WEBSOCKET_PING, true, "and now?");
    run();
    assert_int_equal(far_takes_all_and_counts_pongs(), 1);
}

static void stuck_and_paused_are_passed_on(void **state)
{
    (void)state;

    client->paused = below->stuck = true;
    stream_update(client);
    run();
    assert_true(client->stuck && below->paused);
    unsigned before = wakes;
    client->paused = below->stuck = false;
    stream_update(client);
    run();
    assert_false(client->stuck || below->paused);
    assert_true(wakes > before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(queued_bytes_are_one_masked_frame),
        TEST(large_amounts_arrive_whole),
        TEST(messages_of_any_shape_are_read_as_bytes),
        TEST(frames_that_a_server_may_not_send_break_the_stream),
        TEST(a_close_is_an_orderly_end),
        TEST(an_end_without_a_close_is_a_reset),
        TEST(the_end_waits_for_a_slow_reader),
        TEST(a_pong_without_room_is_omitted),
        TEST(stuck_and_paused_are_passed_on),
    };
    return cmocka_run_group_tests_name("tunnel/websocket", tests, NULL, NULL);
}
