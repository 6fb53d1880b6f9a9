/* serve/request_side.c - the request of an exchange, from the client to a pod */
#include "serve/request_side.h"

#include "serve/heads.h"

void request_init(struct request_side *r, struct chunk_pool *pool)
{
    *r = (struct request_side){ 0 };
    retry_buffer_init(&r->retry, pool);
}

void request_finish(struct request_side *r)
{
    retry_buffer_finish(&r->retry);
    head_text_finish(&r->text);
    head_fields_finish(&r->head);
}

void request_clear(struct request_side *r)
{
    head_text_clear(&r->text);
    r->known = false;
    r->state = REQUEST_UNSENT;
    r->body = (struct body){ 0 };
    r->received = 0;
}

void request_shrink(struct request_side *r)
{
    bufq_clear(&r->retry.held);
    head_text_shrink(&r->text);
    head_fields_shrink(&r->head);
}

static enum err parse_request(struct request_side *r, size_t max_fields)
{
    enum err e;

    do
        e = http1_request_parse(r->text.at, r->text.len, &r->head);
    while (e == ERR_LIMIT && r->head.count == r->head.room &&
           head_fields_grow(&r->head, max_fields));
    return e;
}

enum err request_receive(struct request_side *r, struct bufq *in,
                         const struct config *config)
{
    enum err e = head_text_take(&r->text, in, config->max_head_size);
    if (e == ERR_LIMIT)
        r->problem = "the head is larger than max-head-size";
    if (e)
        return e;
    e = parse_request(r, config->max_head_fields);
    if (e) {
        r->problem = head_problem(&r->head, e);
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

static enum err send_body(struct request_side *r, struct stream *client, struct bufq *out)
{
    struct bufq *in = &client->in;

    for (;;) {
        size_t n;
        enum err e = body_measure(&r->body, in, bufq_room(out), &n);
        if (e)
            return e;
        if (n == 0)
            break;
        retry_buffer_keep(&r->retry, in, n);
        bufq_move_n(out, in, n);
        r->received += n;
    }
    if (r->body.done)
        r->state = REQUEST_SENT;
    else if (client->in_eof && bufq_empty(in))
        return ERR_EOF;
    return OK;
}

static const char *body_problem(const struct request_side *r, enum err e)
{
    const char *problem = r->body.chunked.problem;

    return problem && e != ERR_EOF ? problem : "the body ended too early";
}

enum err request_send(struct request_side *r, struct stream *client, struct stream *pod,
                      const struct target *target, const char *forwarded_for)
{
    enum err e = OK;

    client->paused = false;
    /* Nothing can be sent after the pod's stream has ended. */
    if (r->state == REQUEST_SENT || pod->end.verdict != V_OPEN)
        return OK;
    if (r->state == REQUEST_UNSENT) {
        request_head_write(&r->head, target, forwarded_for, &pod->out);
        r->state = REQUEST_REPLAY;
    }
    if (r->state == REQUEST_REPLAY && retry_buffer_replay(&r->retry, &pod->out))
        r->state = REQUEST_BODY;
    if (r->state == REQUEST_BODY)
        e = send_body(r, client, &pod->out);
    if (e)
        r->problem = body_problem(r, e);
    client->paused = r->state != REQUEST_SENT && pod->stuck;
    stream_update(pod);
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

bool request_fits(const struct request_side *r, uint64_t max)
{
    return r->head.framing == BODY_NONE ||
           (r->head.framing == BODY_LENGTH && r->head.length <= max);
}

bool request_is_flushed(const struct request_side *r, const struct stream *pod)
{
    return r->state == REQUEST_SENT && bufq_empty(&pod->out);
}
