/* serve/response_side.c - the response of an exchange, from a pod to the client */
#include "serve/response_side.h"

#include "http/h2.h"
#include "http/message.h"
#include "serve/observed.h"

#define KEEP_MAX_S 86400

void response_finish(struct response_side *r)
{
    head_text_finish(&r->trailers);
}

void response_shrink(struct response_side *r)
{
    head_text_shrink(&r->trailers);
}

void response_begin(struct response_side *r)
{
    r->state = RESPONSE_HEAD;
    r->began = r->pod_keeps = r->keep = r->binds = r->ignores_upgrade = false;
    r->keep_ms = 0;
    r->status = 0;
    r->passed = 0;
    r->problem = NULL;
    head_text_clear(&r->trailers);
}

static enum response_event bad_response(struct response_side *r, const char *problem)
{
    r->problem = problem;
    return RESPONSE_BAD;
}

/* "timeout=5, max=100" */
static uint32_t keep_alive_ms(const struct http1_head *head)
{
    const struct http1_field *field = http1_find(head, FIELD_KEEP_ALIVE);
    struct str list = field ? field->value : (struct str){ 0 };

    while (!str_empty(list)) {
        struct str one;
        uint64_t seconds;
        list = str_cut(list, ',', &one);
        struct str value = str_cut(str_trim(one), '=', &one);
        if (str_ieq(one, STR("timeout")) && !str_to_uint(value, KEEP_MAX_S, &seconds))
            return (uint32_t)seconds * 1000;
    }
    return 0;
}

static enum response_event pass_interim(struct response_side *r,
                                        const struct response_context *c)
{
    const struct answer_form form = { .method = c->request->method, .keep = true };

    if (c->head->status == 101 && !c->request->upgrade)
        return bad_response(r, "it switches protocols without an Upgrade in the request");
    if (c->head->status == 101 && !c->request_sent)
        return bad_response(r, "it switches protocols in the middle of the request");
    c->client->ops->send_answer(c->client, c->head, &form);
    if (c->head->status != 101)
        return RESPONSE_WAIT;
    r->status = 101;
    r->state = RESPONSE_DONE;
    return RESPONSE_SWITCH;
}

static void pass_final(struct response_side *r, const struct response_context *c)
{
    const struct http1_head *head = c->head, *request = c->request;
    const struct answer_form form = {
        .method = request->method,
        .keep = request->keep_alive && !c->draining && c->request_sent,
    };

    /* It is the pod's no more, and would also hold for the time without a local CA. */
    if (c->tls)
        http1_drop(c->head, STR("Strict-Transport-Security"));
    body_init(&r->body, head);
    r->body.trailers = &r->trailers;
    r->pod_keeps = head->keep_alive;
    r->keep_ms = keep_alive_ms(head);
    r->binds = request->binds_connection || head->binds_connection;
    r->status = head->status;
    if (r->observed)
        observed_response(r->observed, head);
    r->keep = c->client->ops->send_answer(c->client, head, &form);
    r->state = RESPONSE_BODY;
}

/* To a client of HTTP/2 a status of success means that the pod has switched (RFC 8441). */
static bool ignores_upgrade(const struct response_context *c)
{
    return c->head->status / 100 == 2 && c->request->upgrade && h2_owns(c->client);
}

/* *ret_read: a head was passed on, and there may be another. */
static enum response_event read_head(struct response_side *r,
                                     const struct response_context *c, bool *ret_read)
{
    enum response_event event = RESPONSE_WAIT;

    enum err e = c->pod->ops->receive(c->pod, c->request->method, c->head);
    r->began = c->pod->began;
    if (e == ERR_AGAIN)
        return RESPONSE_WAIT;
    if (e == ERR_EOF)
        return r->began ? bad_response(r, "it ended after an interim response")
                        : RESPONSE_NONE;
    if (e)
        return bad_response(r, c->head->problem);
    if (c->head->status / 100 == 1)
        event = pass_interim(r, c);
    else if (ignores_upgrade(c)) {
        r->ignores_upgrade = true;
        event = bad_response(r, "it did not switch protocols");
    } else
        pass_final(r, c);
    c->pod->ops->release_head(c->pod);
    *ret_read = true;
    return event;
}

static bool has_ended(const struct stream *s)
{
    return s->in_eof && bufq_empty(&s->in);
}

/* Heads, until one is final or there is nothing more to read or no room to write. */
static enum response_event read_heads(struct response_side *r,
                                      const struct response_context *c)
{
    enum response_event event = RESPONSE_WAIT;
    bool read = true;

    while (read && r->state == RESPONSE_HEAD && event == RESPONSE_WAIT) {
        if (bufq_full(&c->client->bytes->out) && !has_ended(c->pod->bytes))
            return RESPONSE_WAIT;
        read = false;
        event = read_head(r, c, &read);
    }
    return event;
}

/* A body without framing ends with its stream. */
static bool ends_with_stream(const struct body *body)
{
    return body->framing == BODY_TO_EOF || body->framing == BODY_TO_END;
}

static void end_response(struct response_side *r, const struct response_context *c)
{
    struct str stripped = { r->trailers.at, r->trailers.len };

    c->client->ops->end(c->client, r->trailers.len ? stripped : c->pod->trailers);
    r->state = RESPONSE_DONE;
}

static enum response_event pass_body(struct response_side *r,
                                     const struct response_context *c)
{
    struct stream *pod = c->pod->bytes;
    struct body_copy *copy = r->observed ? &r->observed->response : NULL;
    size_t moved = 0, before = observed_before(r->observed, copy, &pod->in);

    enum err e =
        body_move(&r->body, &pod->in, &c->client->bytes->out, c->client->coding, &moved);
    r->passed += moved;
    if (copy)
        observed_moved(copy, before, moved);
    if (e)
        return RESPONSE_TRUNCATED;
    if (ends_with_stream(&r->body) && has_ended(pod))
        r->body.done = pod->end.verdict == V_CLEAN && !pod->broken;
    if (r->body.done) {
        end_response(r, c);
        return RESPONSE_COMPLETE;
    }
    return has_ended(pod) ? RESPONSE_TRUNCATED : RESPONSE_WAIT;
}

enum response_event response_run(struct response_side *r,
                                 const struct response_context *c)
{
    struct stream *pod = c->pod->bytes, *client = c->client->bytes;
    enum response_event event = read_heads(r, c);

    if (r->state == RESPONSE_BODY)
        event = pass_body(r, c);
    pod->paused = event == RESPONSE_WAIT && client->stuck;
    stream_update(client);
    if (event == RESPONSE_WAIT)
        stream_update(pod);
    return event;
}

const char *response_body_problem(const struct response_side *r)
{
    return r->body.chunked.problem;
}

void response_send_page(struct response_side *r, struct page *page,
                        struct message_stream *client, const struct http1_head *request,
                        bool keep)
{
    page->head_only = request && str_eq(request->method, STR("HEAD"));
    client->ops->send_page(client, page, keep);
    stream_update(client->bytes);
    r->status = page->status;
    r->passed += page->head_only ? 0 : page->body.len;
}
