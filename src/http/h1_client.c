/* http/h1_client.c - a request to a pod in HTTP/1, and its answers */
#include "base/own.h"
#include "http/h1.h"
#include "http/h1_heads.h"

static struct h1_client *client_of(struct message_stream *m)
{
    return container_of(m, struct h1_client, message);
}

struct found {
    const char *text;
    size_t len;
    size_t skip; /* how much of it still lies in the queue */
};

/* ERR_AGAIN, ERR_LIMIT. */
static enum err find_head(struct h1_client *c, struct found *ret)
{
    struct bufq *in = &c->message.bytes->in;
    size_t max = c->limits.max_head_size;

    if (c->text.len == 0) {
        size_t run;
        ret->text = (const char *)bufq_peek(in, &run);
        run = run < max ? run : max;
        enum err e = http1_head_end(ret->text, run, &c->scanned, &ret->len);
        ret->skip = ret->len;
        if (!e)
            return OK;
        if (run == max)
            return ERR_LIMIT;
        if (run == in->len)
            return ERR_AGAIN;
    }
    enum err e = head_text_take(&c->text, in, max);
    *ret = (struct found){ c->text.at, c->text.len, 0 };
    return e;
}

/* Another protocol need not be waited for until a blank line comes. */
static bool is_http_so_far(const struct bufq *in)
{
    static const char version[] = "HTTP/";
    char first[sizeof(version) - 1];
    size_t n = bufq_copy(in, 0, first, sizeof(first));

    return memcmp(first, version, n) == 0;
}

/* Nothing more can be done with an incomplete head. */
static enum err incomplete(const struct h1_client *c, struct http1_head *ret)
{
    const struct stream *pod = c->message.bytes;

    if (c->text.len == 0 && !is_http_so_far(&pod->in)) {
        ret->problem = "it does not begin with HTTP/";
        return ERR_PROTO;
    }
    if (!pod->in_eof)
        return ERR_AGAIN;
    ret->problem = "it ended in the middle of its head";
    return ERR_PROTO;
}

static enum err no_more_bytes(const struct h1_client *c, struct http1_head *ret)
{
    if (!c->message.bytes->in_eof)
        return ERR_AGAIN;
    if (c->text.len == 0)
        return ERR_EOF;
    ret->problem = "it ended in the middle of its head";
    return ERR_PROTO;
}

static enum err parse(struct h1_client *c, const struct found *found, struct str method,
                      struct http1_head *ret)
{
    enum err e;

    do
        e = http1_response_parse(found->text, found->len, method, ret);
    while (e == ERR_LIMIT && ret->count == ret->room &&
           head_fields_grow(ret, c->limits.max_head_fields));
    if (e)
        ret->problem = head_problem(ret, e);
    return e;
}

static enum err receive(struct message_stream *m, struct str method,
                        struct http1_head *ret)
{
    struct h1_client *c = client_of(m);
    struct found found;

    if (bufq_empty(&m->bytes->in))
        return no_more_bytes(c, ret);
    m->began = true;
    enum err e = find_head(c, &found);
    if (e == ERR_AGAIN)
        return incomplete(c, ret);
    if (e) {
        ret->problem = "its head is larger than max-head-size";
        return e;
    }
    e = parse(c, &found, method, ret);
    c->skip = e ? 0 : found.skip;
    return e;
}

static void release_head(struct message_stream *m)
{
    struct h1_client *c = client_of(m);

    bufq_skip(&m->bytes->in, c->skip);
    c->skip = c->scanned = 0;
    head_text_clear(&c->text);
}

static void send_request(struct message_stream *m, const struct http1_head *head,
                         const struct request_form *form)
{
    bool unframed =
        head->framing == BODY_TO_END && !http1_find(head, FIELD_CONTENT_LENGTH);

    h1_request_write(head, form, &m->bytes->out);
    m->coding = unframed ? CODING_CHUNKS : CODING_NONE;
}

static void end(struct message_stream *m, struct str trailers)
{
    if (m->coding == CODING_CHUNKS)
        body_end_chunks(&m->bytes->out, trailers);
}

/* How the lease is released tells the pod. */
static void reset(struct message_stream *m, uint32_t code)
{
    (void)m, (void)code;
}

static const struct message_ops ops = {
    .receive = receive,
    .release_head = release_head,
    .send_request = send_request,
    .end = end,
    .reset = reset,
};

void h1_client_init(struct h1_client *c, struct h1_limits limits)
{
    *c = (struct h1_client){ .message.ops = &ops, .limits = limits };
}

void h1_client_begin(struct h1_client *c, struct stream *connection)
{
    c->message.bytes = connection;
    c->message.connection = connection;
    c->message.coding = CODING_NONE;
    c->message.began = false;
    c->scanned = c->skip = 0;
    head_text_clear(&c->text);
}

void h1_client_shrink(struct h1_client *c)
{
    head_text_shrink(&c->text);
}

void h1_client_finish(struct h1_client *c)
{
    head_text_finish(&c->text);
}
