/* http/h1_server.c - requests of a client in HTTP/1, and their answers */
#include "base/own.h"
#include "http/h1.h"
#include "http/h1_heads.h"
#include "http/page.h"

#define UNUSED_MAX 64

static struct h1_server *server_of(struct message_stream *m)
{
    return container_of(m, struct h1_server, message);
}

static enum err parse(struct h1_server *s, struct http1_head *ret)
{
    enum err e;

    do
        e = http1_request_parse(s->text.at, s->text.len, ret);
    while (e == ERR_LIMIT && ret->count == ret->room &&
           head_fields_grow(ret, s->limits.max_head_fields));
    return e;
}

static enum err receive(struct message_stream *m, struct str method,
                        struct http1_head *ret)
{
    struct h1_server *s = server_of(m);
    struct bufq *in = &m->bytes->in;

    (void)method;
    enum err e = head_text_take(&s->text, in, s->limits.max_head_size);
    m->began |= s->text.len > 0;
    m->head_memory = s->text.room;
    m->head_length = s->text.len;
    if (e == ERR_LIMIT)
        ret->problem = "the head is larger than max-head-size";
    if (e)
        return e == ERR_AGAIN && m->bytes->in_eof ? ERR_EOF : e;
    e = parse(s, ret);
    if (e)
        ret->problem = head_problem(ret, e);
    s->old = !e && ret->minor == 0;
    return e;
}

static void release_head(struct message_stream *m)
{
    (void)m; /* its text is our own */
}

/* A body of HTTP/2 has no framing of its own; an old client is given one without a length by
 * the end of its connection. */
static struct h1_answer_form form_of(const struct h1_server *s,
                                     const struct http1_head *head)
{
    bool unframed =
        head->framing == BODY_TO_END && !http1_find(head, FIELD_CONTENT_LENGTH);

    return (struct h1_answer_form){
        .decode = s->old,
        .chunks = unframed && !s->old,
        .say_keep_alive = s->old,
    };
}

static bool ends_connection(const struct h1_server *s, const struct http1_head *head,
                            const struct h1_answer_form *form)
{
    switch (head->framing) {
    case BODY_CHUNKED:
        return s->old;
    case BODY_TO_EOF:
        return true;
    case BODY_TO_END:
        return !form->chunks && !http1_find(head, FIELD_CONTENT_LENGTH);
    default:
        return false;
    }
}

static bool send_answer(struct message_stream *m, const struct http1_head *head,
                        const struct answer_form *wanted)
{
    struct h1_server *s = server_of(m);
    bool interim = head->status / 100 == 1;
    struct h1_answer_form form = { 0 };

    if (interim) {
        if (!s->old)
            h1_answer_write(head, &form, &m->bytes->out);
        return wanted->keep;
    }
    form = form_of(s, head);
    bool ends = ends_connection(s, head, &form);
    form.close = ends || !wanted->keep;
    m->coding = form.chunks                               ? CODING_CHUNKS
                : s->old && head->framing == BODY_CHUNKED ? CODING_STRIP
                                                          : CODING_NONE;
    m->needs_reset = ends;
    h1_answer_write(head, &form, &m->bytes->out);
    return !form.close;
}

static void send_page(struct message_stream *m, struct page *page, bool keep)
{
    bool old = server_of(m)->old;

    page->connection = !keep ? "close" : old ? "keep-alive" : NULL;
    page_write(page, &m->bytes->out);
}

static void end(struct message_stream *m, struct str trailers)
{
    if (m->coding == CODING_CHUNKS)
        body_end_chunks(&m->bytes->out, trailers);
}

/* The session resets the connection, which is all there is. */
static void reset(struct message_stream *m, uint32_t code)
{
    (void)m, (void)code;
}

static const struct message_ops ops = {
    .receive = receive,
    .release_head = release_head,
    .send_answer = send_answer,
    .send_page = send_page,
    .end = end,
    .reset = reset,
};

void h1_servers_init(struct h1_servers *all, struct h1_limits limits)
{
    *all = (struct h1_servers){ .limits = limits };
    list_init(&all->unused);
}

static void destroy(struct h1_server *s)
{
    head_text_finish(&s->text);
    free(s);
}

void h1_servers_trim(struct h1_servers *all)
{
    list_for_each (s, &all->unused, struct h1_server, member) {
        list_remove(&s->member);
        destroy(s);
    }
    all->count = 0;
}

static struct h1_server *take_unused(struct h1_servers *all)
{
    struct h1_server *s;

    if (list_empty(&all->unused)) {
        s = xcalloc(1, sizeof(*s));
        list_init(&s->member);
        return s;
    }
    s = list_first(&all->unused, struct h1_server, member);
    list_remove(&s->member);
    all->count--;
    return s;
}

struct h1_server *h1_server_take(struct h1_servers *all, struct stream *connection)
{
    struct h1_server *s = take_unused(all);

    s->message = (struct message_stream){
        .ops = &ops,
        .bytes = connection,
        .connection = connection,
    };
    s->limits = all->limits;
    s->old = false;
    head_text_clear(&s->text);
    return s;
}

void h1_server_put(struct h1_servers *all, struct h1_server *s)
{
    if (all->count >= UNUSED_MAX) {
        destroy(s);
        return;
    }
    head_text_shrink(&s->text);
    list_prepend(&all->unused, &s->member);
    all->count++;
}
