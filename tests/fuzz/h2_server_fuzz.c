/* tests/fuzz/h2_server_fuzz.c - a client's HTTP/2 connection, with every request answered
 *
 * The input's first byte chooses whether the preface is sent for it; the rest is what the
 * client sends, in pieces whose lengths come from the input.  Whatever comes, memory is
 * bounded and every chunk comes back.
 */
#include <assert.h>

#include "base/own.h"
#include "http/h2.h"
#include "http/page.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
#define MESSAGES 128

static struct message_stream *messages[MESSAGES];
static size_t count;

static void answer(struct message_stream *m)
{
    static struct http1_field fields[64];
    struct http1_head head = { .fields = fields, .room = 64 };
    struct page page = { .status = 200, .type = "text/plain", .body = STR("hello\n") };
    enum err e = m->ops->receive(m, STR(""), &head);

    assert(e != ERR_AGAIN);
    if (e == OK && str_eq(head.method, STR("POST")))
        bufq_skip(&m->bytes->in, m->bytes->in.len / 2);
    m->ops->send_page(m, &page, true);
    stream_update(m->bytes);
}

static void close_some(bool all)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        struct stream *s = messages[i]->bytes;
        if (all || s->broken || s->out_eof)
            stream_close(s);
        else
            messages[kept++] = messages[i];
    }
    count = kept;
}

static void on_wake(struct task *t)
{
    (void)t;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct sched sched;
    struct chunk_pool pool;
    struct task wake;
    struct h2_settings settings = { .sched = &sched,
                                    .pool = &pool,
                                    .max_head_size = 8192,
                                    .max_head_fields = 64,
                                    .streams_max = MESSAGES,
                                    .window = 65536 };

    if (len < 2)
        return 0;
    sched_init(&sched, 1);
    chunk_pool_init(&pool, 8);
    task_init(&wake, &sched, RANK_WORK, on_wake);
    h2_settings_init(&settings);
    struct stream_pair pair = mem_stream_pair(&sched, &pool, 65536);
    struct h2_connection *c = h2_server_create(&settings, pair.a, &wake);
    if (in[0] & 1)
        bufq_write(&pair.b->out, PREFACE, sizeof(PREFACE) - 1);
    size_t step = in[1] + 1u;
    for (size_t at = 2; at < len && !h2_is_over(c); at += step) {
        bufq_write(&pair.b->out, in + at, step < len - at ? step : len - at);
        stream_update(pair.b);
        sched_run(&sched, 1000 + at);
        for (struct message_stream *m; count < MESSAGES && (m = h2_accept(c));) {
            messages[count++] = m;
            answer(m);
        }
        sched_run(&sched, 1000 + at);
        bufq_clear(&pair.b->in);
        stream_update(pair.b);
        close_some(false);
        assert(pool.held < (16u << 20));
    }
    close_some(true);
    h2_destroy(c);
    stream_abort(pair.a);
    stream_abort(pair.b);
    h2_settings_finish(&settings);
    task_cancel(&wake);
    sched_finish(&sched);
    chunk_pool_finish(&pool);
    return 0;
}
