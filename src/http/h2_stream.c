/* http/h2_stream.c - a stream of an HTTP/2 connection: windows, bodies, how it ends
 *
 * THEORY OF OPERATION
 *
 *      user ── bytes.out ──▶ source, send ──▶ below->out     one DATA frame at a time,
 *                                                            its payload re-linked
 *      user ◀── bytes.in ◀── on_data ◀── below->in           copied once
 *
 * The window of the stream is what the far end may send before the user has taken it:
 * `received` counts what came, and what is no longer in bytes.in is acknowledged at each
 * update.  The window of the connection is acknowledged at once: a stream whose user takes
 * nothing must not stop the others, and each stream's own window bounds it.
 *
 * A stream has two owners, nghttp2 (`open`) and the user (`used`); its memory goes to the free list
 * when the second one lets go.  What a user closes after it has sent everything is still
 * sent; what it closes in the middle is reset.
 */
#include <stdio.h>

#include "base/own.h"
#include "http/h2_private.h"
#include "http/page.h"
#include "http/websocket_key.h"

#define UNUSED_MAX 512
#define LINGER_MS 200
#define FRAME_HEAD 9
#define RUN_MIN                                                                          \
    4096 /* a chunk of the queue with so much is sent by itself, without a copy */

static struct h2_stream *stream_of(struct stream *b)
{
    return container_of(b, struct h2_stream, bytes);
}

/* ---- memory ---- */

static void free_texts(struct h2_stream *s)
{
    head_text_finish(&s->head.pseudo);
    head_text_finish(&s->text);
    head_text_finish(&s->trailers);
    head_text_finish(&s->trailer_lines);
}

static void destroy(struct h2_stream *s)
{
    free_texts(s);
    stream_finish(&s->bytes);
    free(s);
}

static void put_unused(struct h2_stream *s)
{
    struct h2_settings *settings = s->settings;

    list_remove(&s->member);
    list_remove(&s->incoming);
    list_remove(&s->sending);
    s->bytes.wake = NULL;
    free(TAKE(s->accept));
    bufq_clear(&s->bytes.in);
    bufq_clear(&s->bytes.out);
    if (settings->unused_count >= UNUSED_MAX) {
        destroy(s);
        return;
    }
    head_text_shrink(&s->head.pseudo);
    head_text_shrink(&s->text);
    head_text_shrink(&s->trailers);
    head_text_shrink(&s->trailer_lines);
    list_prepend(&settings->unused, &s->member);
    settings->unused_count++;
}

void h2_settings_trim(struct h2_settings *settings)
{
    while (!list_empty(&settings->unused)) {
        struct h2_stream *s = list_first(&settings->unused, struct h2_stream, member);
        list_remove(&s->member);
        destroy(s);
    }
    settings->unused_count = 0;
    h2_memory_trim(settings);
}

/* ---- ends ---- */

static const char *name_of(uint32_t code)
{
    return nghttp2_http2_strerror(code);
}

static void end_with(struct h2_stream *s, enum verdict verdict, uint32_t code)
{
    char why[80];

    s->message.reset_code = code;
    snprintf(why, sizeof(why), "HTTP/2 stream ended with %s", name_of(code));
    stream_end(&s->bytes, verdict, code ? why : NULL);
}

void h2_stream_on_close(struct h2_stream *s, enum verdict verdict, uint32_t code)
{
    struct h2_connection *c = s->connection;

    s->open = false;
    s->connection = NULL;
    s->message.connection = NULL;
    c->count--;
    list_remove(&s->member);
    list_remove(&s->incoming);
    list_remove(&s->sending);
    list_remove(&s->lingering);
    if (verdict == V_CLEAN)
        bufq_clear(&s->bytes.out); /* what is left of a request is not wanted */
    else
        end_with(s, verdict, code);
    stream_set_stuck(&s->bytes, false);
    task_wake(s->bytes.wake);
    task_wake(c->wake);
    if (!s->used)
        put_unused(s);
}

static void send_reset(struct h2_stream *s, uint32_t code)
{
    struct h2_connection *c = s->connection;

    if (!s->open || !s->id || s->reset_sent)
        return;
    s->reset_sent = true;
    bufq_clear(&s->bytes.out);
    list_remove(&s->sending);
    nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s->id, code);
    task_wake(&c->flush);
}

/* RFC 9113, 8.1, permits the reset at once.  But curl 7.88 takes the response for lost when it
 * comes before the end of the request, of which the last bytes are on their way. */
void h2_stream_linger(struct h2_stream *s)
{
    struct h2_connection *c = s->connection;

    if (!list_empty(&s->lingering))
        return;
    s->lingers_until = s->settings->sched->now + LINGER_MS;
    list_append(&c->lingering, &s->lingering);
    timer_set_at(&c->linger,
                 list_first(&c->lingering, struct h2_stream, lingering)->lingers_until);
}

void h2_on_linger(struct timer *t)
{
    struct h2_connection *c = container_of(t, struct h2_connection, linger);

    while (!list_empty(&c->lingering)) {
        struct h2_stream *s = list_first(&c->lingering, struct h2_stream, lingering);
        if (s->lingers_until > t->sched->now) {
            timer_set_at(t, s->lingers_until);
            return;
        }
        list_remove(&s->lingering);
        send_reset(s, NGHTTP2_NO_ERROR);
    }
}

void h2_stream_give_up(struct h2_stream *s)
{
    if (s->reset_sent)
        return;
    end_with(s, V_UNPROCESSED, NGHTTP2_REFUSED_STREAM);
    send_reset(s, NGHTTP2_CANCEL); /* removes the request from nghttp2's queue */
    task_wake(s->bytes.wake);
}

/* Requests that were submitted while more streams were accepted, or before SETTINGS came.
 * Another connection has room for them.  Where none is accepted at present, one more connection
 * would not help: they wait. */
void h2_streams_give_up_queued(struct h2_connection *c)
{
    uint32_t max = h2_streams_accepted(c);
    size_t begun = 0;

    if (c->count <= max || max == 0)
        return;
    list_for_each (s, &c->streams, struct h2_stream, member)
        begun += h2_was_sent(c, s);
    list_for_each (s, &c->streams, struct h2_stream, member) {
        bool waits = s->id > 0 && !s->reset_sent && !h2_was_sent(c, s);
        if (waits && ++begun > max)
            h2_stream_give_up(s);
    }
}

/* ---- the stream's operations ---- */

static void acknowledge(struct h2_stream *s)
{
    size_t taken = s->received - s->bytes.in.len;

    if (taken == 0 || s->bytes.in_eof)
        return;
    s->received -= taken;
    nghttp2_session_consume_stream(s->connection->session, s->id, taken);
    if (nghttp2_session_want_write(s->connection->session))
        task_wake(&s->connection->flush);
}

static void on_update(struct stream *b)
{
    struct h2_stream *s = stream_of(b);

    if (!s->open || !s->id)
        return;
    acknowledge(s);
    bool more = !bufq_empty(&b->out) || (b->shut && !b->out_eof);
    if (!more || s->reset_sent || !s->sent)
        return;
    if (!bufq_empty(&b->out) && list_empty(&s->sending))
        list_append(&s->connection->sending, &s->sending);
    if (s->deferred) {
        s->deferred = false;
        nghttp2_session_resume_data(s->connection->session, s->id);
    }
    task_wake(&s->connection->flush);
}

static bool has_sent_all(const struct h2_stream *s)
{
    return s->sent && s->bytes.shut && bufq_empty(&s->bytes.out);
}

/* A server that has answered needs no more of the request, and says that this is no error; a
 * client that has its answer gives the rest of its request up. */
static void release(struct h2_stream *s, uint32_t code)
{
    s->bytes.wake = NULL;
    if (s->open && !s->id) /* no request was sent: nghttp2 does not know the stream */
        h2_stream_on_close(s, V_UNPROCESSED, NGHTTP2_REFUSED_STREAM);
    s->used = false;
    if (!s->open) {
        put_unused(s);
        return;
    }
    if (s->bytes.out_eof && !s->bytes.in_eof && code == NGHTTP2_NO_ERROR)
        h2_stream_linger(s);
    else if (s->bytes.out_eof && !s->bytes.in_eof)
        send_reset(s, code);
    else if (has_sent_all(s))
        s->reset_at_end = !s->bytes.in_eof;
    else
        send_reset(s, code);
    bufq_clear(&s->bytes.in);
    s->received = 0;
}

static void on_user_close(struct stream *b)
{
    struct h2_stream *s = stream_of(b);
    bool complete = has_sent_all(s);

    release(s, complete && s->server ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
}

static void on_user_abort(struct stream *b)
{
    struct h2_stream *s = stream_of(b);

    send_reset(s, s->server ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL);
    release(s, NGHTTP2_CANCEL);
}

static const struct stream_ops stream_ops = {
    .update = on_update,
    .close = on_user_close,
    .abort = on_user_abort,
    .half_close = true,
};

/* ---- bytes in ---- */

void h2_stream_on_data(struct h2_stream *s, const uint8_t *bytes, size_t n)
{
    struct bufq *in = &s->bytes.in;

    if (!s->used && list_empty(&s->incoming))
        return;           /* it was given up; what comes is not for anyone */
    in->limit = SIZE_MAX; /* the window is the limit */
    bufq_write_small(in, bytes, n);
    in->limit = s->connection->window;
    s->received += n;
    task_wake(s->bytes.wake);
}

/* ---- bytes out ---- */

static ssize_t on_source_read(nghttp2_session *session, int32_t id, uint8_t *buffer,
                              size_t room, uint32_t *flags, nghttp2_data_source *source,
                              void *owner)
{
    struct h2_stream *s = source->ptr;
    struct bufq *out = &s->bytes.out;
    size_t run;

    (void)buffer, (void)owner;
    bufq_peek(out, &run);
    size_t n = run >= RUN_MIN ? run : out->len;
    n = n < room ? n : room;
    bool ends = s->bytes.shut && n == out->len;
    if ((n == 0 && !ends) || s->reset_sent) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!ends)
        return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!str_empty(s->last)) {
        size_t count = h2_trailer_fields(s->connection, s->last);
        if (count && !nghttp2_submit_trailer(session, id, s->connection->fields, count))
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        s->last = (struct str){ 0 };
    }
    return (ssize_t)n;
}

nghttp2_data_provider h2_stream_source(struct h2_stream *s)
{
    return (nghttp2_data_provider){ .source.ptr = s, .read_callback = on_source_read };
}

int h2_stream_send(struct h2_stream *s, const uint8_t *frame_head, size_t n)
{
    struct bufq *out = &s->bytes.out, *to = &s->connection->below->out;

    if (!bufq_empty(to) && bufq_room(to) < FRAME_HEAD + n)
        return NGHTTP2_ERR_WOULDBLOCK;
    if (s->reset_sent || out->len < n)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t limit = to->limit, room;
    to->limit = SIZE_MAX;
    if (n < RUN_MIN)
        bufq_reserve(to, &room); /* small frames gather in a whole chunk */
    memcpy(bufq_prepend(out, FRAME_HEAD), frame_head, FRAME_HEAD);
    bufq_move_n(to, out, FRAME_HEAD + n);
    to->limit = limit;
    task_wake(s->bytes.wake);
    return 0;
}

void h2_stream_settle(struct h2_stream *s)
{
    nghttp2_session *session = s->connection->session;
    bool waits = !bufq_empty(&s->bytes.out);

    if (!waits)
        list_remove(&s->sending);
    bool full =
        waits && (nghttp2_session_get_stream_remote_window_size(session, s->id) <= 0 ||
                  nghttp2_session_get_remote_window_size(session) <= 0);
    stream_set_stuck(&s->bytes, full || (waits && s->connection->below->stuck));
}

/* ---- messages ---- */

static enum err parse(struct h2_stream *s, const char *text, size_t len,
                      struct str method, struct http1_head *ret)
{
    enum err e;

    do
        e = s->server ? http1_request_parse(text, len, ret)
                      : http1_response_parse(text, len, method, ret);
    while (e == ERR_LIMIT && ret->count == ret->room &&
           head_fields_grow(ret, s->settings->max_head_fields));
    return e;
}

/* HTTP/1 then has a length of 0. */
static bool expects_body(const struct http1_head *head)
{
    static const char *const methods[] = { "POST", "PUT", "PATCH" };

    if (head->status)
        return head->framing != BODY_NONE;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq(head->method, str_of(methods[i])))
            return true;
    return false;
}

static bool has_body(const struct http1_head *head)
{
    return head->framing != BODY_NONE && (head->framing != BODY_LENGTH || head->length);
}

/* A body without a length ends with its stream; so does one with a length, which nghttp2
 * compares with what comes. */
static void settle_framing(const struct h2_stream *s, struct http1_head *head,
                           bool is_last)
{
    if (head->status / 100 == 1)
        return;
    bool empty = is_last && s->ended_in_head;
    if (empty && expects_body(head))
        head->framing = BODY_LENGTH, head->length = 0;
    else if (empty)
        head->framing = BODY_NONE;
    else if (!head->status || head->framing != BODY_NONE)
        head->framing = BODY_TO_END;
    if (s->connect && !head->status)
        head->framing = BODY_NONE; /* what follows belongs to the other protocol */
    head->keep_alive = true;
}

static enum err receive(struct message_stream *m, struct str method,
                        struct http1_head *ret)
{
    struct h2_stream *s = h2_stream_of(m);
    size_t rest = s->text.len - s->taken, len;

    if (s->head.too_large && !s->head.trailers) {
        ret->problem = "it is larger than max-head-size";
        return ERR_LIMIT;
    }
    m->began |= rest > 0;
    if (rest == 0)
        return s->bytes.in_eof ? ERR_EOF : ERR_AGAIN;
    const char *text = s->text.at + s->taken;
    if (http1_head_end(text, rest, &s->scanned, &len))
        return s->bytes.in_eof ? ERR_EOF : ERR_AGAIN;
    enum err e = parse(s, text, len, method, ret);
    s->taken += len;
    s->scanned = 0;
    if (!e)
        settle_framing(s, ret, s->taken == s->text.len);
    return e;
}

static void release_head(struct message_stream *m)
{
    (void)m; /* its text is our own */
}

static void submit_final(struct h2_stream *s, size_t count, bool more)
{
    nghttp2_session *session = s->connection->session;
    nghttp2_data_provider source = h2_stream_source(s);

    s->sent = true;
    s->bytes.shut |= !more;
    nghttp2_submit_response(session, s->id, s->connection->fields, count,
                            more ? &source : NULL);
}

static bool send_answer(struct message_stream *m, const struct http1_head *head,
                        const struct answer_form *form)
{
    struct h2_stream *s = h2_stream_of(m);
    struct h2_connection *c = s->connection;
    bool upgrade = head->status == 101;

    if (!s->open || s->reset_sent)
        return form->keep;
    m->needs_reset = true;
    size_t count = h2_answer_fields(c, head, upgrade ? 200 : head->status);
    m->coding = head->framing == BODY_CHUNKED ? CODING_STRIP : CODING_NONE;
    if (head->status / 100 == 1 && !upgrade)
        nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, s->id, NULL, c->fields,
                               count, NULL);
    else
        submit_final(s, count,
                     upgrade || has_body(head) ||
                         (s->connect && head->status / 100 == 2));
    task_wake(&c->flush);
    return form->keep;
}

/* An upgrade is an extended CONNECT. */
static void note_upgrade(struct h2_stream *s, const struct http1_head *head)
{
    s->connect = s->upgrade = h2_is_upgrade(head);
    for (size_t i = 0; s->upgrade && !s->accept && i < head->count; i++)
        if (str_ieq(head->fields[i].name, STR("sec-websocket-key")))
            s->accept = websocket_accept(head->fields[i].value);
}

static void send_request(struct message_stream *m, const struct http1_head *head,
                         const struct request_form *form)
{
    struct h2_stream *s = h2_stream_of(m);
    struct h2_connection *c = s->connection;
    nghttp2_data_provider source = h2_stream_source(s);
    bool more = has_body(head) || h2_is_upgrade(head);

    if (!s->open)
        return;
    note_upgrade(s, head);
    size_t count = h2_request_fields(c, head, form);
    m->coding = head->framing == BODY_CHUNKED ? CODING_STRIP : CODING_NONE;
    s->sent = true;
    s->bytes.shut |= !more;
    s->id = c->stopped ? NGHTTP2_ERR_START_STREAM_NOT_ALLOWED
                       : nghttp2_submit_request(c->session, NULL, c->fields, count,
                                                more ? &source : NULL, s);
    if (s->id < 0) {
        h2_stream_on_close(s, V_UNPROCESSED, NGHTTP2_REFUSED_STREAM);
        return;
    }
    h2_streams_give_up_queued(c);
    task_wake(&c->flush);
}

static void end(struct message_stream *m, struct str trailers)
{
    struct h2_stream *s = h2_stream_of(m);

    if (s->bytes.shut || (s->upgrade && !s->server))
        return; /* the bytes of the other protocol follow */
    head_text_clear(&s->trailer_lines);
    head_text_put(&s->trailer_lines, s->settings->pool, trailers);
    s->last = (struct str){ s->trailer_lines.at, s->trailer_lines.len };
    stream_shutdown(&s->bytes);
}

static void reset(struct message_stream *m, uint32_t code)
{
    send_reset(h2_stream_of(m), code);
}

static void send_page(struct message_stream *m, struct page *page, bool keep)
{
    struct http1_field fields[PAGE_FIELDS_MAX];
    struct http1_head head = { .fields = fields, .room = ARRAY_LEN(fields) };
    char text[PAGE_HEAD_MAX];
    page->connection = NULL;
    size_t len = page_head(page, text);
    bool more = !page->head_only && page->body.len;

    if (http1_response_parse(text, len, page->head_only ? STR("HEAD") : STR("GET"),
                             &head))
        abort(); /* it is our own */
    head.framing = more ? BODY_LENGTH : BODY_NONE;
    send_answer(m, &head, &(struct answer_form){ .keep = keep });
    if (!more)
        return;
    size_t limit = m->bytes->out.limit;
    m->bytes->out.limit = SIZE_MAX;
    bufq_write(&m->bytes->out, page->body.at, page->body.len);
    m->bytes->out.limit = limit;
    end(m, STR(""));
}

static const struct message_ops message_ops = {
    .receive = receive,
    .release_head = release_head,
    .send_request = send_request,
    .send_answer = send_answer,
    .send_page = send_page,
    .end = end,
    .reset = reset,
};

bool h2_owns(const struct message_stream *m)
{
    return m->ops == &message_ops;
}

/* ---- a fresh one ---- */

static struct h2_stream *take_unused(struct h2_settings *settings)
{
    if (list_empty(&settings->unused))
        return xcalloc(1, sizeof(struct h2_stream));
    struct h2_stream *s = list_first(&settings->unused, struct h2_stream, member);
    struct h2_stream kept = { .head.pseudo = s->head.pseudo,
                              .text = s->text,
                              .trailers = s->trailers,
                              .trailer_lines = s->trailer_lines };
    list_remove(&s->member);
    settings->unused_count--;
    *s = kept;
    return s;
}

struct h2_stream *h2_stream_get(struct h2_connection *c, int32_t id)
{
    struct h2_settings *settings = c->settings;
    struct h2_stream *s = take_unused(settings);

    head_text_clear(&s->head.pseudo);
    head_text_clear(&s->text);
    head_text_clear(&s->trailers);
    stream_init(&s->bytes, &stream_ops, settings->pool, c->window, H2_OUT_LIMIT);
    s->message.ops = &message_ops;
    s->message.bytes = &s->bytes;
    s->message.connection = c->below;
    s->settings = settings;
    s->connection = c;
    s->server = c->server;
    s->id = id;
    s->open = true;
    list_init(&s->incoming);
    list_init(&s->sending);
    list_init(&s->lingering);
    list_append(&c->streams, &s->member);
    c->count++;
    return s;
}
