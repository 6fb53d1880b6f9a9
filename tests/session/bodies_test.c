/* tests/session/bodies_test.c - large bodies, slow readers, and bounded queues */
#include "stage.h"

#include <stdio.h>

#include "base/own.h"
#include "wire/http1.h"

#define HOST "Host: web.shop.svc\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST "\r\n"
#define BODY_MAX (1 << 20)

static char pattern_at(size_t i)
{
    return (char)('A' + i * 7 % 53);
}

/* A body: the bytes written, and those that have arrived. */
struct flow {
    struct stream *from, *to;
    char *wire; /* all bytes after the head */
    size_t len, sent, got;
    char *arrived;
};

static void flow_init(struct flow *f, struct stream *from, struct stream *to, size_t body,
                      size_t chunk)
{
    *f = (struct flow){ .from = from, .to = to };
    f->wire = xmalloc(body + (chunk ? body / chunk * 32 + 64 : 1));
    f->arrived = xmalloc(body * 2 + 4096);
    for (size_t at = 0; at < body;) {
        size_t n = !chunk || body - at < chunk ? body - at : chunk;
        if (chunk)
            f->len += http1_chunk_head_encode(n, f->wire + f->len);
        for (size_t i = 0; i < n; i++)
            f->wire[f->len++] = pattern_at(at + i);
        if (chunk)
            f->len += (size_t)sprintf(f->wire + f->len, "\r\n");
        at += n;
    }
    if (chunk)
        f->len += (size_t)sprintf(f->wire + f->len, "0\r\n\r\n");
}

static void flow_finish(struct flow *f)
{
    free(f->wire);
    free(f->arrived);
}

/* No queue holds more than its limit, whichever side reads slowly. */
static void check_bounds(struct stage *st)
{
    for (size_t i = 0; i < st->lease_count; i++) {
        struct stream *s = st->leases[i].ours;
        assert_true(!s || (s->in.len <= st->limit && s->out.len <= st->limit));
    }
    size_t queues = 4 * 2 * (st->limit / (CHUNK_SIZE / 2) + 3);
    assert_true(st->pool.live <= queues + 2 * (st->config->replay_buffer / 8192 + 2));
}

/* Writes as much as is accepted and reads at most `step` bytes per turn, until all has
 * arrived. */
static void flow_run(struct stage *st, struct flow *f, size_t step)
{
    for (int idle = 0; f->got < f->len && idle < 100; idle++) {
        size_t n = bufq_write(&f->from->out, f->wire + f->sent, f->len - f->sent);
        f->sent += n;
        stream_update(f->from);
        stage_run(st);
        check_bounds(st);
        size_t got = stage_read(st, f->to, f->arrived + f->got, step);
        f->got += got;
        if (n || got)
            idle = 0;
    }
    assert_int_equal(f->got, f->len);
    assert_memory_equal(f->arrived, f->wire, f->len);
}

static const size_t sizes[] = { 1,     16351, 16352, 16353, 16384,
                                16385, 32704, 65536, 65537, BODY_MAX };
static const size_t chunks[] = { 0, 1000, 16352, 100000 };
static const size_t steps[] = { 1 << 20, 700, 16352 };

static void skip_head(struct stage *st, struct stream *at, char *head, size_t room)
{
    size_t n = 0;
    while (n < room - 1 && (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0))
        n += bufq_read(&at->in, head + n, 1);
    stream_update(at);
    stage_run(st);
}

static void start(struct stage *st, struct stream *to, const char *line, size_t body,
                  size_t chunk)
{
    char head[200];
    if (chunk)
        snprintf(head, sizeof(head), "%sTransfer-Encoding: chunked\r\n\r\n", line);
    else
        snprintf(head, sizeof(head), "%sContent-Length: %zu\r\n\r\n", line, body);
    stage_write(st, to, head);
}

static void download(struct stage *st, size_t body, size_t chunk, size_t step)
{
    struct stream *client = stage_client(st);
    size_t i = st->lease_count;
    char head[200];
    struct flow f;

    stage_write(st, client, GET);
    start(st, pod(st, i), "HTTP/1.1 200 OK\r\n", body, chunk);
    skip_head(st, client, head, sizeof(head));
    flow_init(&f, pod(st, i), client, body, chunk);
    flow_run(st, &f, step);
    flow_finish(&f);
    assert_release(st, i, RELEASE_KEEP);
    drop(st, &client);
    drop(st, &st->leases[i].pod);
}

static void upload(struct stage *st, size_t body, size_t chunk, size_t step)
{
    struct stream *client = stage_client(st);
    size_t i = st->lease_count;
    char head[200];
    struct flow f;

    start(st, client, "POST / HTTP/1.1\r\n" HOST, body, chunk);
    skip_head(st, pod(st, i), head, sizeof(head));
    flow_init(&f, client, pod(st, i), body, chunk);
    flow_run(st, &f, step);
    flow_finish(&f);
    stage_write(st, pod(st, i), "HTTP/1.1 204 No Content\r\n\r\n");
    assert_received(st, client, "HTTP/1.1 204 No Content\r\n\r\n");
    assert_release(st, i, RELEASE_KEEP);
    drop(st, &client);
    drop(st, &st->leases[i].pod);
}

static void each_body(struct stage *st,
                      void (*carry)(struct stage *, size_t, size_t, size_t))
{
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++)
        for (size_t c = 0; c < ARRAY_LEN(chunks); c++)
            for (size_t r = 0; r < ARRAY_LEN(steps); r++) {
                if (sizes[s] == BODY_MAX && steps[r] < 10000)
                    continue; /* slow, and covered by the other cases */
                st->lease_count = st->client_count = 0;
                carry(st, sizes[s], chunks[c], steps[r]);
            }
}

static void downloads_of_every_size_arrive_whole(void **state)
{
    each_body(*state, download);
}

static void uploads_of_every_size_arrive_whole(void **state)
{
    each_body(*state, upload);
}

static void bodies_pass_through_small_queues(void **state)
{
    struct stage *st = *state;

    st->limit = 1000;
    for (size_t c = 0; c < 2; c++) {
        st->lease_count = st->client_count = 0;
        download(st, 65537, chunks[c], 64);
        st->lease_count = st->client_count = 0;
        upload(st, 65537, chunks[c], 64);
    }
}

/* A client that does not read stops its pod, and uses no more memory than the queues
 * hold. */
static void a_reader_that_stops_makes_the_writer_stop(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);
    char block[4096] = { 0 };
    size_t taken = 0;

    stage_write(st, client, GET);
    stage_write(st, pod(st, 0), "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    for (int i = 0; i < 1000; i++) {
        taken += bufq_write(&pod(st, 0)->out, block, sizeof(block));
        stream_update(pod(st, 0));
        stage_run(st);
        check_bounds(st);
    }
    assert_true(taken <= 5 * st->limit);
    drop(st, &client);
    assert_release(st, 0, RELEASE_ABORT);
}

static void an_idle_session_holds_no_chunk(void **state)
{
    struct stage *st = *state;

    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct stream *client = stage_client(st);
        stage_write(st, client, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stage_received(st, client);
    }
    assert_int_equal(serve_sessions(st->serve), CLIENTS_MAX);
    assert_int_equal(st->pool.live, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(downloads_of_every_size_arrive_whole),
        TEST(uploads_of_every_size_arrive_whole),
        TEST(bodies_pass_through_small_queues),
        TEST(a_reader_that_stops_makes_the_writer_stop),
        TEST(an_idle_session_holds_no_chunk),
    };
    return cmocka_run_group_tests_name("session/bodies", tests, NULL, NULL);
}
