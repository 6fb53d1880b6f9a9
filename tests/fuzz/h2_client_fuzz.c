/* tests/fuzz/h2_client_fuzz.c - a pod's HTTP/2 connection, with three requests under way
 *
 * The input is what the pod sends, SETTINGS first when its first byte is odd, in pieces whose
 * length is its second byte.  Heads, bodies and trailers are read as an exchange would.
 */
#include <assert.h>

#include "base/own.h"
#include "http/h2.h"

#define REQUESTS 3

static void read_answer(struct message_stream *m)
{
    static struct http1_field fields[64];
    struct http1_head head = { .fields = fields, .room = 64 };

    while (m->ops->receive(m, STR("GET"), &head) == OK) {
        assert(head.status >= 100 && head.status <= 999);
        m->ops->release_head(m);
    }
    bufq_clear(&m->bytes->in);
    stream_update(m->bytes);
    for (size_t i = 0; i < m->trailers.len; i++)
        assert(m->trailers.at[i] != '\0');
}

static void on_wake(struct task *t)
{
    (void)t;
}

static void request(struct message_stream *m)
{
    static const char text[] =
        "POST / HTTP/1.1\r\nHost: web.shop\r\nContent-Length: 4\r\n\r\n";
    static struct http1_field fields[8];
    struct http1_head head = { .fields = fields, .room = 8 };
    struct request_form form = { .path = STR("/"), .authority = STR("web.shop") };

    if (http1_request_parse(text, sizeof(text) - 1, &head))
        abort();
    m->ops->send_request(m, &head, &form);
    bufq_write(&m->bytes->out, "body", 4);
    m->ops->end(m, STR(""));
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct message_stream *m[REQUESTS];
    struct sched sched;
    struct chunk_pool pool;
    struct task wake;
    struct h2_settings settings = { .sched = &sched,
                                    .pool = &pool,
                                    .max_head_size = 8192,
                                    .max_head_fields = 64,
                                    .streams_max = 100,
                                    .window = 65536 };

    if (len < 2)
        return 0;
    sched_init(&sched, 1);
    chunk_pool_init(&pool, 8);
    task_init(&wake, &sched, RANK_WORK, on_wake);
    h2_settings_init(&settings);
    struct stream_pair pair = mem_stream_pair(&sched, &pool, 65536);
    struct h2_connection *c = h2_client_create(&settings, pair.a, &wake);
    for (size_t i = 0; i < REQUESTS; i++) {
        m[i] = h2_open(c);
        request(m[i]);
    }
    sched_run(&sched, 1000);
    if (in[0] & 1)
        bufq_write(&pair.b->out, "\0\0\0\4\0\0\0\0\0", 9);
    size_t step = in[1] + 1u;
    for (size_t at = 2; at < len && !h2_is_over(c); at += step) {
        bufq_write(&pair.b->out, in + at, step < len - at ? step : len - at);
        stream_update(pair.b);
        sched_run(&sched, 1000 + at);
        bufq_clear(&pair.b->in);
        stream_update(pair.b);
        for (size_t i = 0; i < REQUESTS; i++)
            read_answer(m[i]);
        assert(pool.held < (16u << 20));
    }
    for (size_t i = 0; i < REQUESTS; i++)
        stream_close(m[i]->bytes);
    h2_destroy(c);
    stream_abort(pair.a);
    stream_abort(pair.b);
    h2_settings_finish(&settings);
    task_cancel(&wake);
    sched_finish(&sched);
    chunk_pool_finish(&pool);
    return 0;
}
