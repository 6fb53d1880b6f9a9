/* serve/response_side.c - the response of an exchange, from a pod to the client */
#include "serve/response_side.h"

#include "serve/heads.h"

#define KEEP_MAX_S 86400

void response_finish(struct response_side *r)
{
    head_text_finish(&r->text);
}

void response_shrink(struct response_side *r)
{
    head_text_shrink(&r->text);
}

void response_begin(struct response_side *r)
{
    r->state = RESPONSE_HEAD;
    r->began = r->decode = r->pod_keeps = r->keep = r->binds = false;
    r->keep_ms = 0;
    r->scanned = 0;
    r->status = 0;
    r->passed = 0;
    r->problem = NULL;
    head_text_clear(&r->text);
}

static enum response_event bad_response(struct response_side *r, const char *problem)
{
    r->problem = problem;
    return RESPONSE_BAD;
}

struct found {
    const char *text;
    size_t len;
    size_t skip; /* how much of it still lies in the queue */
};

/* ERR_AGAIN, ERR_LIMIT. */
static enum err find_head(struct response_side *r, const struct response_context *c,
                          struct found *ret)
{
    struct bufq *in = &c->pod->in;
    size_t max = (size_t)c->config->max_head_size;

    if (r->text.len == 0) {
        size_t run;
        ret->text = (const char *)bufq_peek(in, &run);
        run = run < max ? run : max;
        enum err e = http1_head_end(ret->text, run, &r->scanned, &ret->len);
        ret->skip = ret->len;
        if (!e)
            return OK;
        if (run == max)
            return ERR_LIMIT;
        if (run == in->len)
            return ERR_AGAIN;
    }
    enum err e = head_text_take(&r->text, in, max);
    *ret = (struct found){ r->text.at, r->text.len, 0 };
    return e;
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
    struct answer_form form = { 0 };

    if (c->head->status == 101 && !c->request->upgrade)
        return bad_response(r, "it switches protocols without an Upgrade in the request");
    if (c->head->status == 101 && !c->request_sent)
        return bad_response(r, "it switches protocols in the middle of the request");
    if (c->request->minor > 0)
        answer_head_write(c->head, &form, &c->client->out);
    if (c->head->status != 101)
        return RESPONSE_WAIT;
    r->status = 101;
    r->state = RESPONSE_DONE;
    return RESPONSE_SWITCH;
}

static void pass_final(struct response_side *r, const struct response_context *c)
{
    const struct http1_head *head = c->head, *request = c->request;
    bool old = request->minor == 0;

    body_init(&r->body, head);
    r->decode = head->framing == BODY_CHUNKED && old;
    r->pod_keeps = head->keep_alive;
    r->keep_ms = keep_alive_ms(head);
    r->binds = request->binds_connection || head->binds_connection;
    r->status = head->status;
    r->keep = request->keep_alive && !c->draining && !r->decode &&
              head->framing != BODY_TO_EOF && c->request_sent;

    struct answer_form form = {
        .decode = old,
        .close = !r->keep,
        .say_keep_alive = old,
    };
    answer_head_write(head, &form, &c->client->out);
    r->state = RESPONSE_BODY;
}

/* Another protocol need not be waited for until a blank line comes. */
static bool is_http_so_far(const struct bufq *in)
{
    static const char version[] = "HTTP/";
    char first[sizeof(version) - 1];
    size_t n = bufq_copy(in, 0, first, sizeof(first));

    return memcmp(first, version, n) == 0;
}

static enum err parse_response(const struct response_context *c,
                               const struct found *found)
{
    struct http1_head *head = c->head;
    enum err e;

    do
        e = http1_response_parse(found->text, found->len, c->request->method, head);
    while (e == ERR_LIMIT && head->count == head->room &&
           head_fields_grow(head, c->config->max_head_fields));
    return e;
}

/* Nothing more can be done with an incomplete head. */
static enum response_event incomplete(struct response_side *r, const struct stream *pod)
{
    if (r->text.len == 0 && !is_http_so_far(&pod->in))
        return bad_response(r, "it does not begin with HTTP/");
    return pod->in_eof ? bad_response(r, "it ended in the middle of its head")
                       : RESPONSE_WAIT;
}

/* *ret_read: a head was passed on, and there may be another. */
static enum response_event read_head(struct response_side *r,
                                     const struct response_context *c, bool *ret_read)
{
    struct found found;
    enum response_event event = RESPONSE_WAIT;

    enum err e = find_head(r, c, &found);
    if (e == ERR_AGAIN)
        return incomplete(r, c->pod);
    if (e)
        return bad_response(r, "its head is larger than max-head-size");
    e = parse_response(c, &found);
    if (e)
        return bad_response(r, head_problem(c->head, e));
    if (c->head->status / 100 == 1)
        event = pass_interim(r, c);
    else
        pass_final(r, c);
    if (event != RESPONSE_BAD)
        bufq_skip(&c->pod->in, found.skip);
    r->scanned = 0;
    head_text_clear(&r->text);
    *ret_read = true;
    return event;
}

static enum response_event no_more_bytes(struct response_side *r,
                                         const struct stream *pod)
{
    if (!pod->in_eof)
        return RESPONSE_WAIT;
    if (r->text.len > 0)
        return bad_response(r, "it ended in the middle of its head");
    return r->began ? bad_response(r, "it ended after an interim response")
                    : RESPONSE_NONE;
}

/* Heads, until one is final or there is nothing more to read or no room to write. */
static enum response_event read_heads(struct response_side *r,
                                      const struct response_context *c)
{
    enum response_event event = RESPONSE_WAIT;
    bool read = true;

    while (read && r->state == RESPONSE_HEAD && event == RESPONSE_WAIT) {
        if (bufq_empty(&c->pod->in))
            return no_more_bytes(r, c->pod);
        r->began = true;
        if (bufq_full(&c->client->out))
            return RESPONSE_WAIT;
        read = false;
        event = read_head(r, c, &read);
    }
    return event;
}

static bool has_ended(const struct stream *s)
{
    return s->in_eof && bufq_empty(&s->in);
}

static enum response_event pass_body(struct response_side *r,
                                     const struct response_context *c)
{
    struct stream *pod = c->pod;
    size_t moved = 0;

    enum err e = body_move(&r->body, &pod->in, &c->client->out, r->decode, &moved);
    r->passed += moved;
    if (e)
        return RESPONSE_TRUNCATED;
    if (r->body.framing == BODY_TO_EOF && has_ended(pod))
        r->body.done = pod->end.verdict == V_CLEAN && !pod->broken;
    if (r->body.done) {
        r->state = RESPONSE_DONE;
        return RESPONSE_COMPLETE;
    }
    return has_ended(pod) ? RESPONSE_TRUNCATED : RESPONSE_WAIT;
}

enum response_event response_run(struct response_side *r,
                                 const struct response_context *c)
{
    enum response_event event = read_heads(r, c);

    if (r->state == RESPONSE_BODY)
        event = pass_body(r, c);
    c->pod->paused = event == RESPONSE_WAIT && c->client->stuck;
    stream_update(c->client);
    if (event == RESPONSE_WAIT)
        stream_update(c->pod);
    return event;
}

const char *response_body_problem(const struct response_side *r)
{
    return r->body.chunked.problem;
}

/* A length or chunks show by themselves that something is missing. */
bool response_end_is_ambiguous(const struct response_side *r)
{
    return r->body.framing == BODY_TO_EOF || r->decode;
}

void response_send_page(struct response_side *r, struct page *page, struct stream *client,
                        const struct http1_head *request, bool keep)
{
    bool old = request && request->minor == 0;

    page->connection = !keep ? "close" : old ? "keep-alive" : NULL;
    page->head_only = request && str_eq(request->method, STR("HEAD"));
    page_write(page, &client->out);
    stream_update(client);
    r->status = page->status;
    r->passed += page->head_only ? 0 : page->body.len;
}
