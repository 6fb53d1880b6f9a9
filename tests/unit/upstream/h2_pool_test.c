/* tests/unit/upstream/h2_pool_test.c - which connection of HTTP/2 a request gets, and for how long
 *
 * Connections are pairs in memory; the test plays the pod and writes its frames byte by byte.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "http/h2.h"
#include "upstream/h2_pool.h"

#define PORT number(8080)
#define OTHER_PORT number(8081)
#define IDLE_MS 5000
#define STREAMS_MAX 2

static struct port_use number(uint16_t port)
{
    return (struct port_use){ .port = port };
}

struct rig {
    struct sched sched;
    struct chunk_pool chunks;
    struct h2_pool *pool;
    struct stream *pods[4];
    size_t pod_count;
    struct task waiting;
    unsigned wakes;
    struct log_id via;
};

static const struct endpoint web = { .key = "shop/web-0/uid-0" };
/* Its key begins with that of `web`. */
static const struct endpoint longer = { .key = "shop/web-0/uid-01" };

static void on_wake(struct task *t)
{
    container_of(t, struct rig, waiting)->wakes++;
}

static struct h2_pool *create_pool(struct rig *r, uint32_t streams_max)
{
    return h2_pool_create(&(struct h2_pool_settings){
        .sched = &r->sched,
        .pool = &r->chunks,
        .max_head_size = 65536,
        .max_head_fields = 100,
        .streams_max = streams_max,
        .window = 65536,
        .idle_ms = IDLE_MS,
    });
}

static int setup(void **state)
{
    static struct rig rig;

    rig = (struct rig){ 0 };
    sched_init(&rig.sched, 1);
    rig.sched.now = 1000;
    chunk_pool_init(&rig.chunks, 16);
    task_init(&rig.waiting, &rig.sched, RANK_WORK, on_wake);
    rig.pool = create_pool(&rig, STREAMS_MAX);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    h2_pool_destroy(r->pool);
    for (size_t i = 0; i < r->pod_count; i++)
        stream_abort(r->pods[i]);
    task_cancel(&r->waiting);
    assert_int_equal(r->chunks.live, 0);
    chunk_pool_finish(&r->chunks);
    sched_finish(&r->sched);
    return 0;
}

static void run(struct rig *r)
{
    sched_run(&r->sched, r->sched.now);
}

static void pod_writes(struct rig *r, size_t i, const char *bytes, size_t n)
{
    assert_int_equal(bufq_write(&r->pods[i]->out, bytes, n), n);
    stream_update(r->pods[i]);
    run(r);
}

/* A connection to a pod, which has sent nothing. */
static void add(struct rig *r, const struct endpoint *e)
{
    struct stream_pair pair = mem_stream_pair(&r->sched, &r->chunks, 65536);

    r->pods[r->pod_count++] = pair.b;
    h2_pool_add(r->pool, e, PORT, pair.a,
                (struct log_id){ .kind = 't', .number = r->pod_count });
    run(r);
}

/* SETTINGS of the pod, and its acknowledgement of ours. */
#define SETTINGS "\0\0\0\4\0\0\0\0\0"
#define SETTINGS_CONNECT "\0\0\6\4\0\0\0\0\0\0\x8\0\0\0\1"
#define SETTINGS_ACK "\0\0\0\4\1\0\0\0\0"

static void add_http2(struct rig *r, const struct endpoint *e)
{
    add(r, e);
    pod_writes(r, r->pod_count - 1, SETTINGS SETTINGS_ACK, 18);
}

static struct message_stream *take(struct rig *r, const struct endpoint *e)
{
    return h2_pool_take(r->pool, e, PORT, false, &r->via);
}

static bool is_closed(const struct rig *r, size_t i)
{
    return r->pods[i]->in_eof || r->pods[i]->broken;
}

static void requests_share_a_connection_up_to_its_streams(void **state)
{
    struct rig *r = *state;
    assert_null(take(r, &web));
    add_http2(r, &web);
    struct message_stream *first = take(r, &web), *second = take(r, &web);

    assert_non_null(first);
    assert_non_null(second);
    assert_int_equal(r->via.number, 1);
    assert_null(take(r, &web));
    add_http2(r, &web);
    struct message_stream *third = take(r, &web);
    assert_non_null(third);
    assert_int_equal(r->via.number, 2);
    stream_abort(first->bytes);
    stream_abort(second->bytes);
    stream_abort(third->bytes);
}

static size_t take_all(struct rig *r, struct message_stream **taken, size_t max)
{
    size_t n = 0;

    while (n < max && (taken[n] = take(r, &web)))
        n++;
    return n;
}

/* More than 100 at once, which a server should accept (RFC 9113, section 6.5.2). */
static void requests_wait_for_settings_beyond_the_first_100(void **state)
{
    struct rig *r = *state;
    static struct message_stream *taken[400];
    const size_t ours = 250;

    h2_pool_destroy(r->pool);
    r->pool = create_pool(r, ours);
    add(r, &web);
    size_t n = take_all(r, taken, 400);
    assert_int_equal(n, H2_STREAMS_ASSUMED);
    pod_writes(r, 0, SETTINGS SETTINGS_ACK, 18);
    n += take_all(r, taken + n, 400 - n);
    assert_int_equal(n, ours);
    for (size_t i = 0; i < n; i++)
        stream_abort(taken[i]->bytes);
}

static void changed_limits_are_those_of_new_connections(void **state)
{
    struct rig *r = *state;
    struct message_stream *taken[4];
    add_http2(r, &web);

    h2_pool_configure(r->pool, IDLE_MS, &(struct h2_limits){ 65536, 100, 1, 65536 });
    assert_int_equal(take_all(r, taken, 4), STREAMS_MAX);
    add_http2(r, &web);
    assert_int_equal(take_all(r, taken + STREAMS_MAX, 2), 1);
    assert_int_equal(r->via.number, 2);
    for (size_t i = 0; i < STREAMS_MAX + 1; i++)
        stream_abort(taken[i]->bytes);
}

static void another_port_has_connections_of_its_own(void **state)
{
    struct rig *r = *state;
    add_http2(r, &web);

    assert_null(h2_pool_take(r->pool, &web, OTHER_PORT, false, &r->via));
    assert_null(take(r, &longer));
}

static void one_that_waits_wakes_when_a_stream_has_ended(void **state)
{
    struct rig *r = *state;
    struct h2_waiter waiter = { 0 };
    add_http2(r, &web);
    struct message_stream *first = take(r, &web), *second = take(r, &web);
    run(r);
    h2_pool_wait(r->pool, &web, PORT, &waiter, &r->waiting);
    run(r);
    assert_int_equal(r->wakes, 0);
    stream_abort(first->bytes);
    run(r);

    /* The reset is sent, and so the stream has ended. */
    assert_int_equal(r->wakes, 1);
    first = take(r, &web);
    assert_non_null(first);
    stream_abort(first->bytes);
    stream_abort(second->bytes);
    h2_waiter_leave(&waiter);
}

static void those_that_wait_for_a_connection_wake_when_its_opening_has_ended(void **state)
{
    struct rig *r = *state;
    struct h2_waiter waiter = { 0 };

    assert_false(h2_pool_is_opening(r->pool, &web, PORT));
    h2_pool_begin_opening(r->pool, &web, PORT);
    assert_true(h2_pool_is_opening(r->pool, &web, PORT));
    h2_pool_wait(r->pool, &web, PORT, &waiter, &r->waiting);
    run(r);
    assert_int_equal(r->wakes, 0);
    h2_pool_end_opening(r->pool, &web, PORT);
    run(r);
    assert_int_equal(r->wakes, 1);
    assert_false(h2_pool_is_opening(r->pool, &web, PORT));
}

static void one_that_has_left_does_not_wake(void **state)
{
    struct rig *r = *state;
    struct h2_waiter waiter = { 0 };

    h2_waiter_leave(&waiter);
    h2_pool_begin_opening(r->pool, &web, PORT);
    h2_pool_wait(r->pool, &web, PORT, &waiter, &r->waiting);
    h2_waiter_leave(&waiter);
    h2_pool_end_opening(r->pool, &web, PORT);
    run(r);
    assert_int_equal(r->wakes, 0);
}

static void an_idle_connection_closes_after_idle_ms(void **state)
{
    struct rig *r = *state;
    add_http2(r, &web);

    sched_run(&r->sched, r->sched.now + IDLE_MS - 1);
    assert_false(is_closed(r, 0));
    sched_run(&r->sched, r->sched.now + 1);
    run(r);
    assert_true(is_closed(r, 0));
    assert_null(take(r, &web));
}

/* To a pod that reads nothing: our SETTINGS fill its queue, and are not all in it. */
static void add_stuck(struct rig *r)
{
    struct stream_pair pair = mem_stream_pair(&r->sched, &r->chunks, 36);

    r->pods[r->pod_count++] = pair.b;
    h2_pool_add(r->pool, &web, PORT, pair.a, r->via);
    run(r);
    assert_int_equal(r->pods[0]->in.len, 36);
}

#define PING_ON_A_STREAM "\0\0\x8\6\0\0\0\0\1pingping"

/* All that the pod is sent, as room is made for it. */
static size_t pod_reads(struct rig *r, uint8_t *at, size_t max)
{
    struct bufq *in = &r->pods[0]->in;
    size_t len = 0;

    for (size_t n; (n = bufq_copy(in, 0, at + len, max - len)); len += n) {
        bufq_skip(in, n);
        stream_update(r->pods[0]);
        run(r);
    }
    return len;
}

#define PREFACE_LEN 24
#define FRAME_HEAD 9

static void the_goaway_for_an_invalid_frame_is_sent_before_the_end(void **state)
{
    struct rig *r = *state;
    uint8_t sent[256], *last = sent + PREFACE_LEN;
    add_stuck(r);

    pod_writes(r, 0, SETTINGS PING_ON_A_STREAM, 26);
    assert_false(is_closed(r, 0));
    const uint8_t *end = sent + pod_reads(r, sent, sizeof(sent));
    assert_true(is_closed(r, 0));
    while (last + FRAME_HEAD + last[2] < end)
        last += FRAME_HEAD + last[2];
    assert_int_equal(last[3], 7);              /* GOAWAY */
    assert_int_equal(last[FRAME_HEAD + 7], 1); /* PROTOCOL_ERROR */
}

static void a_pod_that_does_not_take_the_goaway_gets_a_second(void **state)
{
    struct rig *r = *state;
    add_stuck(r);

    pod_writes(r, 0, SETTINGS PING_ON_A_STREAM, 26);
    sched_run(&r->sched, r->sched.now + 999);
    assert_false(is_closed(r, 0));
    sched_run(&r->sched, r->sched.now + 1);
    run(r);
    bufq_skip(&r->pods[0]->in, 36);
    stream_update(r->pods[0]);
    run(r);
    assert_true(is_closed(r, 0));
}

static void a_connection_in_use_does_not_close(void **state)
{
    struct rig *r = *state;
    add_http2(r, &web);
    sched_run(&r->sched, r->sched.now + IDLE_MS - 1);
    struct message_stream *m = take(r, &web);

    sched_run(&r->sched, r->sched.now + 3 * IDLE_MS);
    assert_false(is_closed(r, 0));
    stream_abort(m->bytes);
    run(r);
    sched_run(&r->sched, r->sched.now + IDLE_MS);
    run(r);
    assert_true(is_closed(r, 0));
}

static void first_bytes_show_what_a_port_speaks(void **state)
{
    struct rig *r = *state;

    assert_int_equal(h2_pool_speaks(r->pool, &web, PORT, NULL), SPEAKS_UNKNOWN);
    add_http2(r, &web);
    assert_int_equal(h2_pool_speaks(r->pool, &web, PORT, NULL), SPEAKS_HTTP2_ALSO);
    add(r, &longer);
    assert_int_equal(h2_pool_speaks(r->pool, &longer, PORT, NULL), SPEAKS_UNKNOWN);
    pod_writes(r, 1, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    assert_int_equal(h2_pool_speaks(r->pool, &longer, PORT, NULL), SPEAKS_HTTP1);
    assert_true(is_closed(r, 1));
}

static void a_declaration_counts_until_something_was_learnt(void **state)
{
    struct rig *r = *state;
    static const struct {
        struct service_port port;
        enum speaks speaks;
    } rows[] = {
        { { .name = "", .app_protocol = "kubernetes.io/h2c" }, SPEAKS_HTTP2 },
        { { .name = "grpc" }, SPEAKS_HTTP2 },
        { { .name = "grpc-web" }, SPEAKS_UNKNOWN },
        { { .name = "grpc", .app_protocol = "http" }, SPEAKS_UNKNOWN },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(h2_pool_speaks(r->pool, &web, PORT, &rows[i].port),
                         rows[i].speaks);
    h2_pool_learn(r->pool, &web, PORT, SPEAKS_HTTP1);
    assert_int_equal(h2_pool_speaks(r->pool, &web, PORT, &rows[0].port), SPEAKS_HTTP1);
}

/* HTTP/1 was answered in HTTP/2: a connection of HTTP/2 shows no less. */
static void what_an_answer_to_http1_showed_is_not_forgotten(void **state)
{
    struct rig *r = *state;

    h2_pool_learn(r->pool, &web, PORT, SPEAKS_HTTP2);
    add_http2(r, &web);
    assert_int_equal(h2_pool_speaks(r->pool, &web, PORT, NULL), SPEAKS_HTTP2);
}

static void a_declaration_is_doubtful_after_a_connection_that_was_silent(void **state)
{
    struct rig *r = *state;
    static const struct service_port grpc = { .name = "grpc" };

    add(r, &web);
    stream_shutdown(r->pods[0]);
    stream_update(r->pods[0]);
    run(r);
    assert_int_equal(h2_pool_speaks(r->pool, &web, PORT, &grpc), SPEAKS_UNKNOWN);
    add_http2(r, &web);
    assert_int_equal(h2_pool_speaks(r->pool, &web, PORT, &grpc), SPEAKS_HTTP2);
}

static void a_request_that_must_be_certain_waits_for_settings(void **state)
{
    struct rig *r = *state;
    struct h2_waiter waiter = { 0 };
    add(r, &web);

    assert_null(h2_pool_take(r->pool, &web, PORT, true, &r->via));
    assert_true(h2_pool_awaits_settings(r->pool, &web, PORT));
    h2_pool_wait(r->pool, &web, PORT, &waiter, &r->waiting);
    pod_writes(r, 0, SETTINGS, 5);
    assert_int_equal(r->wakes, 0);
    pod_writes(r, 0, &SETTINGS[5], 4);
    assert_int_equal(r->wakes, 1);
    assert_false(h2_pool_awaits_settings(r->pool, &web, PORT));
    struct message_stream *m = h2_pool_take(r->pool, &web, PORT, true, &r->via);
    assert_non_null(m);
    stream_abort(m->bytes);
}

static void settings_show_whether_a_port_accepts_extended_connect(void **state)
{
    struct rig *r = *state;

    assert_false(h2_pool_lacks_connect(r->pool, &web, PORT));
    add_http2(r, &web);
    assert_true(h2_pool_lacks_connect(r->pool, &web, PORT));
    add(r, &longer);
    assert_false(h2_pool_lacks_connect(r->pool, &longer, PORT));
    pod_writes(r, 1, SETTINGS_CONNECT, 15);
    assert_false(h2_pool_lacks_connect(r->pool, &longer, PORT));
}

static void only_an_answer_in_http2_shows_that_http1_is_not_spoken(void **state)
{
    struct rig *r = *state;

    add_http2(r, &web);
    assert_false(h2_pool_lacks_http1(r->pool, &web, PORT));
    h2_pool_learn(r->pool, &web, PORT, SPEAKS_HTTP2);
    assert_true(h2_pool_lacks_http1(r->pool, &web, PORT));
}

static void with_4096_ports_those_without_connections_are_forgotten(void **state)
{
    struct rig *r = *state;
    add_http2(r, &web);
    h2_pool_begin_opening(r->pool, &web, OTHER_PORT);
    h2_pool_learn(r->pool, &web, OTHER_PORT, SPEAKS_HTTP1);
    for (uint16_t port = 1; port <= 4094; port++)
        h2_pool_learn(r->pool, &longer, number(port), SPEAKS_HTTP1);

    assert_int_equal(h2_pool_speaks(r->pool, &longer, number(1), NULL), SPEAKS_HTTP1);
    h2_pool_learn(r->pool, &longer, number(4095), SPEAKS_HTTP1);
    assert_int_equal(h2_pool_speaks(r->pool, &longer, number(1), NULL), SPEAKS_UNKNOWN);
    assert_int_equal(h2_pool_speaks(r->pool, &longer, number(4095), NULL), SPEAKS_HTTP1);
    assert_int_equal(h2_pool_speaks(r->pool, &web, PORT, NULL), SPEAKS_HTTP2_ALSO);
    assert_int_equal(h2_pool_speaks(r->pool, &web, OTHER_PORT, NULL), SPEAKS_HTTP1);
    h2_pool_end_opening(r->pool, &web, OTHER_PORT);
}

static void a_pod_that_is_gone_is_forgotten_and_no_other_one(void **state)
{
    struct rig *r = *state;
    struct h2_waiter waiter = { 0 };
    add_http2(r, &web);
    add_http2(r, &longer);
    struct message_stream *m = take(r, &web);
    h2_pool_wait(r->pool, &web, PORT, &waiter, &r->waiting);

    h2_pool_drop_pod(r->pool, web.key);
    run(r);
    assert_int_equal(r->wakes, 1);
    assert_null(take(r, &web));
    assert_int_equal(h2_pool_speaks(r->pool, &web, PORT, NULL), SPEAKS_UNKNOWN);
    assert_false(is_closed(r, 0)); /* its request goes on */
    stream_abort(m->bytes);
    run(r);
    assert_true(is_closed(r, 0));

    assert_int_equal(h2_pool_speaks(r->pool, &longer, PORT, NULL), SPEAKS_HTTP2_ALSO);
    m = take(r, &longer);
    assert_non_null(m);
    stream_abort(m->bytes);
}

static void after_a_clear_nothing_more_begins(void **state)
{
    struct rig *r = *state;
    add_http2(r, &web);
    add_http2(r, &longer);
    struct message_stream *m = take(r, &web);

    h2_pool_clear(r->pool);
    run(r);
    assert_null(take(r, &web));
    assert_false(is_closed(r, 0));
    assert_true(is_closed(r, 1)); /* it had no stream */
    stream_abort(m->bytes);
    run(r);
    assert_true(is_closed(r, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_share_a_connection_up_to_its_streams),
        TEST(requests_wait_for_settings_beyond_the_first_100),
        TEST(changed_limits_are_those_of_new_connections),
        TEST(another_port_has_connections_of_its_own),
        TEST(one_that_waits_wakes_when_a_stream_has_ended),
        TEST(those_that_wait_for_a_connection_wake_when_its_opening_has_ended),
        TEST(one_that_has_left_does_not_wake),
        TEST(an_idle_connection_closes_after_idle_ms),
        TEST(the_goaway_for_an_invalid_frame_is_sent_before_the_end),
        TEST(a_pod_that_does_not_take_the_goaway_gets_a_second),
        TEST(a_connection_in_use_does_not_close),
        TEST(first_bytes_show_what_a_port_speaks),
        TEST(a_declaration_counts_until_something_was_learnt),
        TEST(what_an_answer_to_http1_showed_is_not_forgotten),
        TEST(a_declaration_is_doubtful_after_a_connection_that_was_silent),
        TEST(a_request_that_must_be_certain_waits_for_settings),
        TEST(settings_show_whether_a_port_accepts_extended_connect),
        TEST(only_an_answer_in_http2_shows_that_http1_is_not_spoken),
        TEST(with_4096_ports_those_without_connections_are_forgotten),
        TEST(a_pod_that_is_gone_is_forgotten_and_no_other_one),
        TEST(after_a_clear_nothing_more_begins),
    };
    return cmocka_run_group_tests_name("upstream/h2_pool", tests, NULL, NULL);
}
