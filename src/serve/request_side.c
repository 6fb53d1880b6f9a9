/* serve/request_side.c - the request of an exchange, from the client to a pod */
#include "serve/request_side.h"

#include <assert.h>

#include "http/message.h"
#include "serve/forwarded.h"
#include "serve/observed.h"

#define REPLAY_STEP 4096

void request_init(struct request_side *r, struct chunk_pool *pool)
{
    *r = (struct request_side){ 0 };
    retry_buffer_init(&r->retry, pool);
}

void request_finish(struct request_side *r)
{
    retry_buffer_finish(&r->retry);
    head_text_finish(&r->trailers);
    head_fields_finish(&r->head);
}

void request_clear(struct request_side *r)
{
    r->known = r->whole = false;
    r->state = REQUEST_UNSENT;
    r->body = (struct body){ 0 };
    r->received = 0;
}

void request_shrink(struct request_side *r)
{
    bufq_clear(&r->retry.held);
    head_text_shrink(&r->trailers);
    head_fields_shrink(&r->head);
}

enum err request_receive(struct request_side *r, struct message_stream *client,
                         const struct config *config)
{
    enum err e = client->ops->receive(client, STR(""), &r->head);

    if (e) {
        r->problem = r->head.problem;
        return e;
    }
    r->known = true;
    body_init(&r->body, &r->head);
    retry_buffer_start(&r->retry, (size_t)config->replay_buffer);
    return OK;
}

void request_restart(struct request_side *r)
{
    r->state = REQUEST_UNSENT;
    retry_buffer_rewind(&r->retry);
}

static void send_head(struct request_side *r, struct message_stream *pod,
                      const struct target *target, const struct forwarding *f)
{
    char room[FORWARDED_ROOM];
    struct str forwarded = { 0 };
    struct request_form form = {
        .path = target->path,
        .add_slash = target->add_slash,
        .authority = target->authority,
        .tls = f->tls,
        .trace = f->trace,
    };

    if (f->tls)
        http1_drop(&r->head, STR("X-Forwarded-Proto"));
    if (f->address) {
        forwarded = forwarded_value(&r->head, target, f, room);
        form.forwarded = &forwarded;
    }
    pod->ops->send_request(pod, &r->head, &form);
    if (pod->coding == CODING_STRIP) {
        body_init(&r->stripped, &r->head);
        r->stripped.trailers = &r->trailers;
        head_text_clear(&r->trailers);
    }
    r->state = REQUEST_REPLAY;
}

/* True: all of it is sent. */
static bool replay_in_chunks(struct retry_buffer *retry, struct bufq *out)
{
    bool all = false;

    while (!all && bufq_room(out) > BODY_CHUNK_OVERHEAD) {
        size_t room = bufq_room(out) - BODY_CHUNK_OVERHEAD;
        struct bufq step;
        bufq_init(&step, out->pool, room < REPLAY_STEP ? room : REPLAY_STEP);
        all = retry_buffer_replay(retry, &step);
        if (step.len)
            body_put_chunk(out, &step, step.len);
        bufq_finish(&step);
    }
    return all;
}

/* Chunks are kept as they came. */
static bool replay_stripped(struct request_side *r, struct bufq *out)
{
    bool all = false;

    while (!all && !bufq_full(out)) {
        struct bufq step;
        bufq_init(&step, out->pool, bufq_room(out));
        all = retry_buffer_replay(&r->retry, &step);
        if (body_strip(&r->stripped, &step, step.len, out))
            abort(); /* they were right when they came */
        bufq_finish(&step);
    }
    return all;
}

static bool replay(struct request_side *r, struct message_stream *pod)
{
    struct bufq *out = &pod->bytes->out;

    switch (pod->coding) {
    case CODING_CHUNKS:
        return replay_in_chunks(&r->retry, out);
    case CODING_STRIP:
        return replay_stripped(r, out);
    default:
        return retry_buffer_replay(&r->retry, out);
    }
}

/* HTTP/2: the body ends with its stream. */
static void note_end(struct body *body, const struct stream *client)
{
    if (body->framing == BODY_TO_END && client->in_eof && bufq_empty(&client->in))
        body->done = client->end.verdict == V_CLEAN && !client->broken;
}

static enum err move_body(struct request_side *r, struct bufq *in,
                          struct message_stream *pod)
{
    struct bufq *out = &pod->bytes->out;
    size_t overhead = pod->coding == CODING_CHUNKS ? BODY_CHUNK_OVERHEAD : 0;

    while (bufq_room(out) > overhead) {
        size_t n;
        enum err e = body_measure(&r->body, in, bufq_room(out) - overhead, &n);
        if (e || n == 0)
            return e;
        retry_buffer_keep(&r->retry, in, n);
        if (r->observed)
            observed_moved(&r->observed->request,
                           observed_before(r->observed, &r->observed->request, in), n);
        if (pod->coding == CODING_CHUNKS)
            body_put_chunk(out, in, n);
        else if (pod->coding == CODING_STRIP)
            e = body_strip(&r->stripped, in, n, out);
        else
            bufq_move_n(out, in, n);
        r->received += n;
        if (e)
            return e;
    }
    return OK;
}

static enum err send_body(struct request_side *r, struct message_stream *client,
                          struct message_stream *pod)
{
    struct stream *from = client->bytes;

    enum err e = move_body(r, &from->in, pod);
    if (e)
        return e;
    note_end(&r->body, from);
    if (r->body.done) {
        r->whole = true;
        struct str stripped = { r->trailers.at, r->trailers.len };
        pod->ops->end(pod, pod->coding == CODING_STRIP ? stripped : client->trailers);
        r->state = REQUEST_SENT;
    } else if (from->in_eof && bufq_empty(&from->in)) {
        return ERR_EOF;
    }
    return OK;
}

static const char *body_problem(const struct request_side *r, enum err e)
{
    const char *problem = r->body.chunked.problem;

    return problem && e != ERR_EOF ? problem : "the body ended too early";
}

enum err request_send(struct request_side *r, struct message_stream *client,
                      struct message_stream *pod, const struct target *target,
                      const struct forwarding *f)
{
    struct stream *to = pod->bytes;
    enum err e = OK;

    client->bytes->paused = false;
    /* Nothing can be sent after the pod's stream has ended. */
    if (r->state == REQUEST_SENT || to->end.verdict != V_OPEN)
        return OK;
    if (r->state == REQUEST_UNSENT)
        send_head(r, pod, target, f);
    if (r->state == REQUEST_REPLAY && replay(r, pod))
        r->state = REQUEST_BODY;
    if (r->state == REQUEST_BODY)
        e = send_body(r, client, pod);
    if (e)
        r->problem = body_problem(r, e);
    client->bytes->paused = r->state != REQUEST_SENT && to->stuck;
    stream_update(to);
    return e;
}

void request_stop_keeping(struct request_side *r)
{
    retry_buffer_stop(&r->retry);
}

bool request_discard_rest(struct request_side *r, struct bufq *in)
{
    return r->known && body_discard(&r->body, in) == OK && r->body.done;
}

bool request_is_kept(const struct request_side *r)
{
    return r->retry.complete;
}

bool request_fits(const struct request_side *r, const struct stream *client, uint64_t max)
{
    switch (r->head.framing) {
    case BODY_NONE:
        return true;
    case BODY_LENGTH:
        return r->head.length <= max;
    case BODY_TO_END: /* known once it has ended */
        return client->in_eof && r->received + client->in.len <= max;
    default:
        return false;
    }
}

bool request_is_flushed(const struct request_side *r, const struct stream *pod)
{
    return r->state == REQUEST_SENT && bufq_empty(&pod->out);
}
