#include "net/stream.h"

#include "base/own.h"

void stream_init(struct stream *s, const struct stream_ops *ops, struct chunk_pool *pool,
                 size_t in_limit, size_t out_limit)
{
    *s = (struct stream){ .ops = ops };
    bufq_init(&s->in, pool, in_limit);
    bufq_init(&s->out, pool, out_limit);
}

void stream_finish(struct stream *s)
{
    bufq_finish(&s->in);
    bufq_finish(&s->out);
}

void stream_set_stuck(struct stream *s, bool stuck)
{
    if (s->stuck == stuck)
        return;
    s->stuck = stuck;
    if (stuck)
        bufq_pack(&s->out);
    task_wake(s->wake);
}

void stream_end(struct stream *s, enum verdict verdict, const char *why)
{
    if (s->broken || (s->end.verdict == V_CLEAN && verdict == V_CLEAN))
        return;
    if (s->end.verdict == V_OPEN) {
        s->end.verdict = verdict;
        s->in_eof = true;
    }
    if (why && !s->end.why.text[0])
        diag_set(&s->end.why, OK, "%s", why);
    if (verdict != V_CLEAN) {
        s->broken = true;
        bufq_clear(&s->out);
    }
    task_wake(s->wake);
}

/* A pair in memory: two streams, each with a task that moves what it can. */

struct mem_stream {
    struct stream stream;
    struct mem_stream *peer; /* NULL once the other side was closed */
    struct task work;
};

static void mem_update(struct stream *s)
{
    struct mem_stream *m = container_of(s, struct mem_stream, stream);
    task_wake(&m->work);
    if (m->peer)
        task_wake(&m->peer->work);
}

static void mem_free(struct mem_stream *m)
{
    task_cancel(&m->work);
    stream_finish(&m->stream);
    free(m);
}

static void mem_leave(struct stream *s, enum verdict verdict)
{
    struct mem_stream *m = container_of(s, struct mem_stream, stream);
    if (m->peer) {
        m->peer->peer = NULL;
        stream_end(&m->peer->stream, verdict, NULL);
    }
    mem_free(m);
}

static void mem_close(struct stream *s)
{
    mem_leave(s, s->shut && bufq_empty(&s->out) ? V_CLEAN : V_RESET);
}

static void mem_abort(struct stream *s)
{
    mem_leave(s, V_RESET);
}

static const struct stream_ops mem_ops = { mem_update, mem_close, mem_abort };

static void mem_work(struct task *t)
{
    struct mem_stream *m = container_of(t, struct mem_stream, work);
    struct mem_stream *to = m->peer;

    if (!to || to->stream.end.verdict != V_OPEN)
        return;
    bool moved = !to->stream.paused && bufq_move(&to->stream.in, &m->stream.out) > 0;
    if (moved) {
        task_wake(m->stream.wake);
        task_wake(to->stream.wake);
    }
    if (m->stream.shut && bufq_empty(&m->stream.out) && !m->stream.out_eof) {
        m->stream.out_eof = true;
        stream_end(&to->stream, V_CLEAN, NULL);
    }
}

static struct mem_stream *mem_create(struct sched *sched, struct chunk_pool *pool,
                                     size_t limit)
{
    struct mem_stream *m = xcalloc(1, sizeof(*m));
    stream_init(&m->stream, &mem_ops, pool, limit, limit);
    task_init(&m->work, sched, RANK_FLUSH, mem_work);
    return m;
}

struct stream_pair mem_stream_pair(struct sched *sched, struct chunk_pool *pool,
                                   size_t limit)
{
    struct mem_stream *a = mem_create(sched, pool, limit);
    struct mem_stream *b = mem_create(sched, pool, limit);
    a->peer = b;
    b->peer = a;
    return (struct stream_pair){ &a->stream, &b->stream };
}
