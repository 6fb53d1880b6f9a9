#include "tunnel/prewarmed_connection.h"

#include "base/own.h"

struct prewarmed_connection {
    struct tunnel_origin *origin;
    struct connecting connecting;
    struct tls_identity *identity;
    struct stream *stream; /* NULL: not connected, taken, or dropped */
    struct task step;
    struct timer expiry;
};

static void prewarmed_drop(struct prewarmed_connection *s)
{
    connecting_finish(&s->connecting);
    stream_close(TAKE(s->stream));
    timer_stop(&s->expiry);
}

/* It is connected, or has failed; or the API server has closed it. */
static void on_prewarmed_step(struct task *task)
{
    struct prewarmed_connection *s =
        container_of(task, struct prewarmed_connection, step);

    if (s->stream && s->stream->end.verdict != V_OPEN)
        prewarmed_drop(s);
    if (s->stream || !s->connecting.request || s->connecting.result == ERR_AGAIN)
        return;
    if (s->connecting.result == OK) {
        s->stream = origin_open(s->origin, &s->connecting, s->identity);
        s->stream->wake = &s->step;
    }
    connecting_finish(&s->connecting);
}

static void on_expiry(struct timer *timer)
{
    prewarmed_drop(container_of(timer, struct prewarmed_connection, expiry));
}

struct prewarmed_connection *prewarmed_connection_create(struct tunnel_origin *origin)
{
    struct prewarmed_connection *s = xcalloc(1, sizeof(*s));
    struct sched *sched = loop_sched(origin->loop);

    s->origin = origin;
    s->identity = tls_identity_ref(credentials_identity(api_credentials(origin->api)));
    task_init(&s->step, sched, RANK_READ, on_prewarmed_step);
    timer_init(&s->expiry, sched, on_expiry);
    timer_set(&s->expiry, PREWARMED_MS);
    origin_connect(origin, &s->connecting, &s->step);
    return s;
}

struct stream *prewarmed_connection_take(struct prewarmed_connection *s,
                                         const struct tls_identity *identity)
{
    if (!s || !s->stream || s->stream->end.verdict != V_OPEN || s->identity != identity)
        return NULL;
    struct stream *taken = TAKE(s->stream);
    taken->wake = NULL;
    prewarmed_drop(s);
    return taken;
}

void prewarmed_connection_destroy(struct prewarmed_connection *s)
{
    if (!s)
        return;
    prewarmed_drop(s);
    task_cancel(&s->step);
    tls_identity_unref(s->identity);
    free(s);
}
