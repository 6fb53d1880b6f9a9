#include "playground/pods/http.h"

#include <stdio.h>

#include "base/own.h"
#include "playground/pods/exchange.h"
#include "playground/pods/websocket.h"

/* clang-format off */
#define STATES(X) \
    X(HEAD,   head)   /* waiting for a request                      */ \
    X(BODY,   body)   /* reading its body                           */ \
    X(ANSWER, answer) /* the page writes                            */ \
    X(TALK,   talk)   /* a WebSocket                                */ \
    X(FLUSH,  flush)  /* the last bytes, then the end               */ \
    X(CLOSED, closed) /* to be destroyed                            */
/* clang-format on */

enum http_state {
#define X(NAME, name) HTTP_##NAME,
    STATES(X)
#undef X
};

struct http {
    struct pod_connection base;
    enum http_state state;
    const struct page *only; /* the one page of this port, or NULL */
    struct head_reader reader;
    struct exchange exchange;
    enum http1_framing framing;
    uint64_t left; /* of a body with a length */
    struct http1_chunked chunked;
    struct ws_echo echo;
};

#define X(NAME, name) static enum http_state in_##name(struct http *h);
STATES(X)
#undef X

static enum http_state (*const states[])(struct http *) = {
#define X(NAME, name) [HTTP_##NAME] = in_##name,
    STATES(X)
#undef X
};

static void http_destroy(struct pod_connection *c)
{
    struct http *h = container_of(c, struct http, base);
    timer_stop(&h->exchange.timer);
    sha256_end(h->exchange.hash, NULL);
    text_finish(&h->exchange.kept);
    head_finish(&h->reader);
    pod_connection_finish(c);
    free(h);
}

static bool has_room(const struct http *h)
{
    return bufq_room(&h->base.stream->out) >= ANSWER_ROOM;
}

static void write_text(struct http *h, const char *text)
{
    bufq_write(&h->base.stream->out, text, strlen(text));
}

static enum http_state refuse(struct http *h)
{
    write_text(
        h, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    return HTTP_FLUSH;
}

static void begin(struct http *h, const struct http1_head *head)
{
    struct exchange *x = &h->exchange;
    x->page = h->only ? h->only : page_find(target_path(head->target));
    x->keep_alive = head->keep_alive;
    x->bodyless = str_eq(head->method, STR("HEAD"));
    x->continue_wanted = head->expect_continue;
    x->refused = false;
    x->received = x->sent = x->left = x->number = 0;
    text_clear(&x->kept);
    h->framing = head->framing;
    h->left = head->length;
    h->chunked = (struct http1_chunked){ 0 };
    if (x->page->begin)
        x->page->begin(x, head, head_bytes(&h->reader, &h->base.stream->in));
}

static enum http_state in_head(struct http *h)
{
    struct stream *s = h->base.stream;
    struct http1_head head;

    if (!has_room(h))
        return HTTP_HEAD;
    enum err e = head_read(&h->reader, &s->in, &head);
    if (e == ERR_AGAIN)
        return s->in_eof ? HTTP_FLUSH : HTTP_HEAD;
    if (e)
        return refuse(h);
    begin(h, &head);
    head_done(&h->reader, &s->in);
    head_finish(&h->reader); /* an idle connection keeps no buffer */
    if (h->exchange.refused)
        return HTTP_ANSWER;
    if (h->exchange.continue_wanted)
        write_text(h, "HTTP/1.1 100 Continue\r\n\r\n");
    return h->framing == BODY_NONE ? HTTP_ANSWER : HTTP_BODY;
}

static void take_payload(struct http *h, const uint8_t *at, size_t n)
{
    h->exchange.received += n;
    if (h->exchange.hash)
        sha256_add(h->exchange.hash, at, n);
}

static enum err take_chunks(struct http *h, bool *ret_done)
{
    struct bufq *in = &h->base.stream->in;
    size_t len;

    for (const uint8_t *at; !*ret_done && (at = bufq_peek(in, &len));) {
        struct http1_piece piece;
        enum err e = http1_chunked_decode(&h->chunked, at, len, &piece);
        if (e)
            return e;
        take_payload(h, at + piece.framing, piece.payload);
        bufq_skip(in, piece.framing + piece.payload);
        *ret_done = piece.done;
    }
    return OK;
}

static enum err take_length(struct http *h, bool *ret_done)
{
    struct bufq *in = &h->base.stream->in;
    size_t len;

    for (const uint8_t *at; h->left && (at = bufq_peek(in, &len));) {
        size_t n = len < h->left ? len : (size_t)h->left;
        take_payload(h, at, n);
        bufq_skip(in, n);
        h->left -= n;
    }
    *ret_done = h->left == 0;
    return OK;
}

static enum http_state in_body(struct http *h)
{
    bool done = false;
    enum err e =
        h->framing == BODY_CHUNKED ? take_chunks(h, &done) : take_length(h, &done);
    if (e)
        return refuse(h);
    if (done)
        return HTTP_ANSWER;
    return h->base.stream->in_eof ? HTTP_CLOSED : HTTP_BODY;
}

static enum http_state in_answer(struct http *h)
{
    if (!has_room(h))
        return HTTP_ANSWER;
    switch (h->exchange.page->answer(&h->exchange)) {
    case MORE:
        return HTTP_ANSWER;
    case HANG_UP:
        return HTTP_FLUSH;
    case RESET:
        stream_abort(TAKE(h->base.stream));
        return HTTP_CLOSED;
    case TALK:
        return HTTP_TALK;
    case ANSWERED:
        break;
    }
    return h->exchange.keep_alive ? HTTP_HEAD : HTTP_FLUSH;
}

static enum http_state in_talk(struct http *h)
{
    return ws_echo_run(&h->echo, h->base.stream) ? HTTP_TALK : HTTP_FLUSH;
}

static enum http_state in_flush(struct http *h)
{
    struct stream *s = h->base.stream;
    bufq_clear(&s->in);
    stream_shutdown(s);
    return s->out_eof ? HTTP_CLOSED : HTTP_FLUSH;
}

static enum http_state in_closed(struct http *h)
{
    (void)h;
    return HTTP_CLOSED;
}

/* Runs states until one returns itself, which means that it waits. */
static void http_work(struct task *task)
{
    struct http *h = container_of(task, struct http, base.work);
    enum http_state before;

    do {
        before = h->state;
        bool broken = before != HTTP_CLOSED && h->base.stream->broken;
        h->state = broken ? HTTP_CLOSED : states[before](h);
    } while (h->state != before);
    if (h->state == HTTP_CLOSED)
        http_destroy(&h->base);
    else
        stream_update(h->base.stream);
}

static void on_timer(struct timer *timer)
{
    struct http *h = container_of(timer, struct http, exchange.timer);
    task_wake(&h->base.work);
}

static void serve(struct loop *l, struct pod *pod, struct stream *s,
                  const struct page *only)
{
    struct http *h = xcalloc(1, sizeof(*h));
    h->only = only;
    h->exchange.pod = pod;
    h->exchange.stream = s;
    timer_init(&h->exchange.timer, loop_sched(l), on_timer);
    pod_connection_init(&h->base, l, pod, s, http_work, http_destroy);
}

void http_serve(struct loop *l, struct pod *pod, struct stream *s)
{
    serve(l, pod, s, NULL);
}

void http_serve_heads(struct loop *l, struct pod *pod, struct stream *s)
{
    serve(l, pod, s, &page_raw_head);
}
