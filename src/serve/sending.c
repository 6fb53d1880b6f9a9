/* serve/sending.c - the request, from the client to the pod
 *
 * Bytes go from queue to queue; what went is also held, up to replay-buffer, until the
 * pod has begun to answer: then it can be sent again, to another pod, if nothing came
 * back.
 */
#include "serve/exchange.h"
#include "serve/heads.h"
#include "serve/session.h"

#define REPLAY_STEP 4096

void sending_begin(struct exchange *x)
{
    struct sending *s = &x->sending;

    body_init(&s->body, &x->request);
    s->state = SENDING_HEAD;
    s->holding = true;
    s->replayed = 0;
    s->held.limit = (size_t)x->serve->config->replay_buffer;
}

void sending_again(struct exchange *x)
{
    x->sending.state = SENDING_HEAD;
    x->sending.replayed = 0;
}

static void drop_held(struct sending *s)
{
    s->holding = false;
    bufq_clear(&s->held);
    s->replayed = 0;
}

/* What is being replayed has to stay until it is sent. */
void sending_stop_holding(struct exchange *x)
{
    if (x->sending.state == SENDING_REPLAY)
        x->sending.holding = false;
    else
        drop_held(&x->sending);
}

static void send_head(struct exchange *x, struct bufq *out)
{
    const char *from = x->serve->config->forwarded ? x->from->address : NULL;

    request_head_write(&x->request, &x->target, from, out);
    x->sending.state = SENDING_REPLAY;
}

static void replay(struct sending *s, struct bufq *out)
{
    uint8_t step[REPLAY_STEP];

    while (s->replayed < s->held.len && !bufq_full(out)) {
        size_t n = bufq_copy(&s->held, s->replayed, step, sizeof(step));
        s->replayed += bufq_write(out, step, n);
    }
    if (s->replayed < s->held.len)
        return;
    s->state = SENDING_BODY;
    if (!s->holding)
        drop_held(s);
}

/* Keep a copy of the first n bytes of `from`, or none of anything if it does not fit. */
static void hold(struct sending *s, const struct bufq *from, size_t n)
{
    uint8_t step[REPLAY_STEP];

    if (!s->holding)
        return;
    if (n > bufq_room(&s->held) || chunk_pool_is_tight(s->held.pool)) {
        drop_held(s);
        return;
    }
    for (size_t at = 0; at < n;) {
        size_t part = n - at < sizeof(step) ? n - at : sizeof(step);
        bufq_copy(from, at, step, part);
        bufq_write(&s->held, step, part);
        at += part;
    }
    s->replayed = s->held.len;
}

static enum err send_body(struct exchange *x, struct bufq *out)
{
    struct sending *s = &x->sending;
    struct bufq *in = &x->client->in;

    for (;;) {
        size_t n;
        enum err e = body_measure(&s->body, in, bufq_room(out), &n);
        if (e)
            return e;
        if (n == 0)
            break;
        hold(s, in, n);
        bufq_move_n(out, in, n);
        x->bytes_in += n;
    }
    if (s->body.done)
        s->state = SENDING_DONE;
    else if (x->client->in_eof && bufq_empty(in))
        return ERR_EOF;
    return OK;
}

enum err sending_run(struct exchange *x)
{
    struct sending *s = &x->sending;
    struct stream *pod = x->lease.stream;
    enum err e = OK;

    x->client->paused = false;
    /* Nothing is sent after the far end has spoken its last word. */
    if (s->state == SENDING_DONE || pod->end.verdict != V_OPEN)
        return OK;
    if (s->state == SENDING_HEAD)
        send_head(x, &pod->out);
    if (s->state == SENDING_REPLAY)
        replay(s, &pod->out);
    if (s->state == SENDING_BODY)
        e = send_body(x, &pod->out);
    x->client->paused = s->state != SENDING_DONE && pod->stuck;
    stream_update(pod);
    return e;
}

bool sending_flushed(const struct exchange *x)
{
    return x->sending.state == SENDING_DONE && bufq_empty(&x->lease.stream->out);
}
