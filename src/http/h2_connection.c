/* http/h2_connection.c - an HTTP/2 connection: nghttp2's session on a stream
 *
 * THEORY OF OPERATION
 *
 *      below->in ──▶ read: nghttp2_session_mem_recv ──▶ callbacks ──▶ streams, tasks
 *      below->out ◀── flush: nghttp2_session_mem_send ◀── submitted frames, sources
 *
 * `read` runs when something happened below, `flush` at the end of a turn in which something
 * is to be sent.  nghttp2 is entered from these two tasks and from the operations of streams,
 * never from one of its own callbacks: callbacks only write fields and wake tasks.
 *
 * A connection is `over` when nghttp2 has nothing more to read and write, or when the stream
 * below has ended.  Its message streams end then, each with the verdict that tells whether
 * the far end can have processed it.
 */
#include "http/h2.h"

#include <assert.h>
#include <stdio.h>

#include "base/own.h"
#include "http/h2_private.h"

#define CONNECTION_WINDOW                                                                \
    (1 << 20) /* streams have windows of their own that bound them */
#define ACKNOWLEDGE_MS 10000
#define RESETS_AT_ONCE 1000 /* as nghttp2 recommends */
#define RESETS_A_SECOND 33
#define CONTINUATIONS_MAX 8
#define SETTINGS_MAX 32
#define ANSWERS_MAX 1000
#define FRAME_HEAD 9
#define FRAME_SETTINGS 4

/* ---- streams ---- */

static struct h2_stream *stream_by_id(struct h2_connection *c, int32_t id)
{
    return nghttp2_session_get_stream_user_data(c->session, id);
}

/* Of one that nghttp2 has not opened yet. */
static struct h2_stream *find_unsent(struct h2_connection *c, int32_t id)
{
    list_for_each (s, &c->streams, struct h2_stream, member)
        if (s->id == id)
            return s;
    return NULL;
}

static void end_of_stream(struct h2_stream *s)
{
    stream_end(&s->bytes, V_CLEAN, NULL);
    task_wake(s->bytes.wake);
}

/* ---- nghttp2's callbacks ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame,
                            void *owner)
{
    struct h2_connection *c = owner;
    struct h2_stream *s = stream_by_id(c, frame->hd.stream_id);

    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    bool is_first = !s && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    if (is_first) {
        s = h2_stream_get(c, frame->hd.stream_id);
        nghttp2_session_set_stream_user_data(session, s->id, s);
    }
    if (s)
        h2_head_begin(s, !is_first && (c->server || s->final));
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *owner)
{
    struct h2_stream *s = stream_by_id(owner, frame->hd.stream_id);

    (void)session, (void)flags;
    if (s)
        h2_head_add(s, (struct str){ (const char *)name, name_len },
                    (struct str){ (const char *)value, value_len });
    return 0;
}

static void on_head(struct h2_connection *c, struct h2_stream *s, bool ends)
{
    bool trailers = s->head.trailers;

    h2_head_finish(s);
    if (!trailers)
        s->ended_in_head = ends;
    else
        s->message.trailers = (struct str){ s->trailers.at, s->trailers.len };
    s->final |= !trailers && s->head.status / 100 != 1;
    if (c->server && !trailers) {
        list_append(&c->incoming, &s->incoming);
        task_wake(c->wake);
    }
    task_wake(s->bytes.wake);
}

static void on_settings(struct h2_connection *c, bool acknowledged)
{
    if (acknowledged)
        timer_stop(&c->acknowledged);
    else
        c->has_settings = true;
    task_wake(c->wake); /* how many streams it accepts may have changed */
}

static void on_goaway(struct h2_connection *c)
{
    c->draining = true;
    task_wake(c->wake);
}

/* The second GOAWAY of a drain: the far end has seen the first, and opened what it would. */
static void on_ping(struct h2_connection *c, bool acknowledged)
{
    if (!acknowledged || !c->going_away)
        return;
    c->going_away = false;
    nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(c->session),
                          NGHTTP2_NO_ERROR, NULL, 0);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame,
                         void *owner)
{
    struct h2_connection *c = owner;
    const nghttp2_frame_hd *hd = &frame->hd;
    struct h2_stream *s = hd->stream_id ? stream_by_id(c, hd->stream_id) : NULL;
    bool ends = hd->flags & NGHTTP2_FLAG_END_STREAM;

    (void)session;
    switch (hd->type) {
    case NGHTTP2_HEADERS:
        if (s)
            on_head(c, s, ends);
        if (s && ends)
            end_of_stream(s);
        break;
    case NGHTTP2_DATA:
        if (s && ends)
            end_of_stream(s);
        break;
    case NGHTTP2_SETTINGS:
        on_settings(c, hd->flags & NGHTTP2_FLAG_ACK);
        break;
    case NGHTTP2_GOAWAY:
        on_goaway(c);
        break;
    case NGHTTP2_PING:
        on_ping(c, hd->flags & NGHTTP2_FLAG_ACK);
        break;
    default:
        break;
    }
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id,
                         const uint8_t *bytes, size_t n, void *owner)
{
    struct h2_stream *s = stream_by_id(owner, id);

    (void)flags;
    if (s)
        h2_stream_on_data(s, bytes, n);
    return nghttp2_session_consume_connection(session, n) ? NGHTTP2_ERR_CALLBACK_FAILURE
                                                          : 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code,
                           void *owner)
{
    struct h2_connection *c = owner;
    struct h2_stream *s = stream_by_id(c, id);
    bool unprocessed = !c->server && code == NGHTTP2_REFUSED_STREAM;

    (void)session;
    if (!s)
        return 0;
    bool complete = s->bytes.in_eof && code == NGHTTP2_NO_ERROR;
    h2_stream_on_close(s,
                       complete      ? V_CLEAN
                       : unprocessed ? V_UNPROCESSED
                                     : V_RESET,
                       code);
    return 0;
}

/* A request that nghttp2 could not begin any more. */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame,
                             int error, void *owner)
{
    struct h2_connection *c = owner;

    (void)error;
    if (frame->hd.type != NGHTTP2_HEADERS || c->server)
        return 0;
    struct h2_stream *s = find_unsent(c, frame->hd.stream_id);
    if (!s || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    nghttp2_session_set_stream_user_data(session, s->id, NULL); /* if it was opened */
    h2_stream_on_close(s, V_UNPROCESSED, NGHTTP2_REFUSED_STREAM);
    return 0;
}

/* nghttp2's own text has the rule that a frame broke. */
static void note_error(struct h2_connection *c, const nghttp2_goaway *sent)
{
    if (sent->error_code == NGHTTP2_NO_ERROR || c->problem)
        return;
    snprintf(c->error, sizeof(c->error), "invalid frames: %.*s (%s)",
             (int)sent->opaque_data_len, (const char *)sent->opaque_data,
             nghttp2_http2_strerror(sent->error_code));
    c->problem = c->error;
}

static void on_goaway_sent(struct h2_connection *c, const nghttp2_goaway *sent)
{
    note_error(c, sent);
    if (c->going_away)
        nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, (const uint8_t *)"draining");
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame,
                         void *owner)
{
    struct h2_connection *c = owner;
    const nghttp2_frame_hd *hd = &frame->hd;
    if (hd->type == NGHTTP2_GOAWAY)
        on_goaway_sent(c, &frame->goaway);
    bool ends = (hd->type == NGHTTP2_DATA || hd->type == NGHTTP2_HEADERS) &&
                (hd->flags & NGHTTP2_FLAG_END_STREAM);
    struct h2_stream *s = ends ? stream_by_id(c, hd->stream_id) : NULL;

    if (!s)
        return 0;
    s->bytes.out_eof = true;
    task_wake(s->bytes.wake);
    if (s->reset_at_end && !s->bytes.in_eof)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame,
                        const uint8_t *frame_head, size_t n, nghttp2_data_source *source,
                        void *owner)
{
    (void)session, (void)frame, (void)owner;
    return h2_stream_send(source->ptr, frame_head, n);
}

/* ---- settings ---- */

static nghttp2_session_callbacks *callbacks_create(void)
{
    nghttp2_session_callbacks *cb;

    if (nghttp2_session_callbacks_new(&cb))
        abort();
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_frame_not_send);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
    return cb;
}

static nghttp2_option *options_create(const struct h2_settings *s)
{
    nghttp2_option *o;

    if (nghttp2_option_new(&o))
        abort();
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_outbound_ack(o, ANSWERS_MAX);
    nghttp2_option_set_max_settings(o, SETTINGS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(o, RESETS_AT_ONCE, RESETS_A_SECOND);
    nghttp2_option_set_max_continuations(o, CONTINUATIONS_MAX);
    nghttp2_option_set_max_send_header_block_length(o, 2 * s->max_head_size);
    nghttp2_option_set_peer_max_concurrent_streams(o, s->streams_max);
    return o;
}

void h2_settings_init(struct h2_settings *s)
{
    list_init(&s->unused);
    s->unused_count = s->blocks_kept = 0;
    memset(s->blocks, 0, sizeof(s->blocks));
    s->options = options_create(s);
    s->callbacks = callbacks_create();
}

void h2_settings_finish(struct h2_settings *s)
{
    h2_settings_trim(s);
    nghttp2_option_del(s->options);
    nghttp2_session_callbacks_del(s->callbacks);
}

static void submit_settings(struct h2_connection *c)
{
    const struct h2_settings *s = c->settings;
    const nghttp2_settings_entry of_server[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, s->streams_max },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, s->window },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)s->max_head_size },
        { NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 },
    };
    const nghttp2_settings_entry of_client[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, s->window },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)s->max_head_size },
    };

    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE,
                            c->server ? of_server : of_client,
                            c->server ? ARRAY_LEN(of_server) : ARRAY_LEN(of_client));
    nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
                                          CONNECTION_WINDOW);
    timer_set(&c->acknowledged, ACKNOWLEDGE_MS);
}

/* ---- ends ---- */

/* Can the far end have processed it? */
static enum verdict verdict_of(const struct h2_connection *c, const struct h2_stream *s)
{
    enum verdict below = c->below->end.verdict;
    bool delivered =
        s->id &&
        (c->server || nghttp2_session_get_stream_user_data(c->session, s->id) == s);

    if (!delivered || c->peer == H2_PEER_OTHER)
        return V_UNPROCESSED;
    return below == V_OPEN || below == V_CLEAN ? V_RESET : below;
}

static void end_streams(struct h2_connection *c)
{
    list_for_each (s, &c->streams, struct h2_stream, member) {
        const char *why = c->problem                  ? c->problem
                          : c->below->end.why.text[0] ? c->below->end.why.text
                                                      : "the connection has ended";
        enum verdict verdict = verdict_of(c, s);
        stream_end(&s->bytes, verdict, why);
        h2_stream_on_close(s, verdict, 0);
    }
}

static void set_over(struct h2_connection *c, const char *problem)
{
    if (c->over)
        return;
    if (!c->problem)
        c->problem = problem;
    c->over = c->draining = true;
    timer_stop(&c->acknowledged);
    end_streams(c);
    task_wake(c->wake);
}

/* nghttp2 cannot go on: the far end broke a limit, or its own memory has run out. */
static void fail(struct h2_connection *c, int error)
{
    uint32_t code = error == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? NGHTTP2_PROTOCOL_ERROR
                                                          : NGHTTP2_ENHANCE_YOUR_CALM;
    const uint8_t *bytes;
    ssize_t n;

    c->problem = nghttp2_strerror(error);
    if (error != NGHTTP2_ERR_NOMEM &&
        !nghttp2_session_terminate_session(c->session, code) &&
        (n = nghttp2_session_mem_send(c->session, &bytes)) > 0)
        bufq_write(&c->below->out, bytes, (size_t)n);
    set_over(c, c->problem);
    stream_update(c->below);
}

/* ---- reading and flushing ---- */

/* A server begins with SETTINGS (RFC 9113, section 3.4), and so does what a client sends after
 * its preface.  False: more bytes are needed, or it is over. */
static bool knows_peer(struct h2_connection *c)
{
    uint8_t head[FRAME_HEAD];

    if (c->peer == H2_PEER_HTTP2)
        return true;
    if (c->server) {
        c->peer = H2_PEER_HTTP2;
        return true;
    }
    size_t n = bufq_copy(&c->below->in, 0, head, sizeof(head));
    bool other = (n > 3 && head[3] != FRAME_SETTINGS) || (n > 0 && head[0]) ||
                 (n > 8 && (head[5] | head[6] | head[7] | head[8]));
    if (other) {
        c->peer = H2_PEER_OTHER;
        set_over(c, "it does not speak HTTP/2");
    } else if (n == sizeof(head)) {
        c->peer = H2_PEER_HTTP2;
        task_wake(c->wake);
    }
    return n == sizeof(head) && !other;
}

static void receive(struct h2_connection *c)
{
    struct bufq *in = &c->below->in;

    while (!c->over && !bufq_empty(in) && knows_peer(c)) {
        size_t len;
        const uint8_t *at = bufq_peek(in, &len);
        ssize_t n = nghttp2_session_mem_recv(c->session, at, len);
        if (n < 0) {
            fail(c, (int)n);
            return;
        }
        bufq_skip(in, (size_t)n);
    }
}

static void on_read(struct task *t)
{
    struct h2_connection *c = container_of(t, struct h2_connection, read);

    receive(c);
    if (!c->over && (c->below->broken || (c->below->in_eof && bufq_empty(&c->below->in))))
        set_over(c, NULL);
    if (!c->over)
        stream_update(c->below);
    task_wake(c->over ? c->wake : &c->flush);
}

static void settle_streams(struct h2_connection *c)
{
    list_for_each (s, &c->sending, struct h2_stream, sending)
        h2_stream_settle(s);
}

static void on_flush(struct task *t)
{
    struct h2_connection *c = container_of(t, struct h2_connection, flush);
    struct bufq *out = &c->below->out;

    while (!c->over && !bufq_full(out)) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(c->session, &bytes);
        if (n < 0) {
            fail(c, (int)n);
            return;
        }
        if (n == 0)
            break;
        size_t limit = out->limit;
        out->limit = SIZE_MAX; /* a frame is written whole */
        bufq_write(out, bytes, (size_t)n);
        out->limit = limit;
    }
    if (c->over)
        return;
    settle_streams(c);
    bool done =
        !nghttp2_session_want_read(c->session) && !nghttp2_session_want_write(c->session);
    if (done)
        set_over(c, NULL);
    stream_update(c->below);
}

static void on_unacknowledged(struct timer *t)
{
    struct h2_connection *c = container_of(t, struct h2_connection, acknowledged);

    c->problem = "SETTINGS were not acknowledged in time";
    nghttp2_session_terminate_session(c->session, NGHTTP2_SETTINGS_TIMEOUT);
    task_wake(&c->flush);
}

/* ---- life ---- */

static struct h2_connection *create(struct h2_settings *s, struct stream *below,
                                    struct task *wake, bool server)
{
    struct h2_connection *c = xcalloc(1, sizeof(*c));
    nghttp2_mem memory = h2_memory(c);

    c->settings = s;
    c->below = below;
    c->server = server;
    c->wake = wake;
    list_init(&c->streams);
    list_init(&c->incoming);
    list_init(&c->sending);
    task_init(&c->read, s->sched, RANK_READ, on_read);
    task_init(&c->flush, s->sched, RANK_FLUSH, on_flush);
    timer_init(&c->acknowledged, s->sched, on_unacknowledged);
    int e = server ? nghttp2_session_server_new3(&c->session, s->callbacks, c, s->options,
                                                 &memory)
                   : nghttp2_session_client_new3(&c->session, s->callbacks, c, s->options,
                                                 &memory);
    if (e)
        abort(); /* its memory is far below the limit */
    submit_settings(c);
    below->wake = &c->read;
    task_wake(&c->read);
    return c;
}

struct h2_connection *h2_server_create(struct h2_settings *s, struct stream *below,
                                       struct task *wake)
{
    return create(s, below, wake, true);
}

struct h2_connection *h2_client_create(struct h2_settings *s, struct stream *below,
                                       struct task *wake)
{
    return create(s, below, wake, false);
}

void h2_destroy(struct h2_connection *c)
{
    if (!c)
        return;
    c->wake = NULL;
    set_over(c, NULL);
    task_cancel(&c->read);
    task_cancel(&c->flush);
    timer_stop(&c->acknowledged);
    nghttp2_session_del(c->session);
    assert(c->memory == 0);
    head_text_finish(&c->names);
    free(c->fields);
    free(c);
}

struct message_stream *h2_accept(struct h2_connection *c)
{
    if (list_empty(&c->incoming))
        return NULL;
    struct h2_stream *s = list_first(&c->incoming, struct h2_stream, incoming);
    list_remove(&s->incoming);
    s->used = true;
    return &s->message;
}

struct message_stream *h2_open(struct h2_connection *c)
{
    if (!h2_capacity(c))
        return NULL;
    struct h2_stream *s = h2_stream_get(c, 0);
    s->used = true;
    return &s->message;
}

size_t h2_capacity(const struct h2_connection *c)
{
    uint32_t theirs = nghttp2_session_get_remote_settings(
        c->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    uint32_t ours = c->settings->streams_max;
    size_t max = theirs < ours ? theirs : ours;

    if (c->draining || c->over || !nghttp2_session_check_request_allowed(c->session))
        return 0;
    return c->count < max ? max - c->count : 0;
}

size_t h2_count(const struct h2_connection *c)
{
    return c->count;
}

enum h2_peer h2_peer(const struct h2_connection *c)
{
    return c->peer;
}

bool h2_has_settings(const struct h2_connection *c)
{
    return c->has_settings;
}

bool h2_accepts_connect(const struct h2_connection *c)
{
    return nghttp2_session_get_remote_settings(
               c->session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

bool h2_is_draining(const struct h2_connection *c)
{
    return c->draining;
}

bool h2_is_over(const struct h2_connection *c)
{
    return c->over;
}

const char *h2_problem(const struct h2_connection *c)
{
    return c->problem;
}

void h2_drain(struct h2_connection *c)
{
    if (c->draining || c->over)
        return;
    c->draining = true;
    task_wake(c->wake);
    if (!c->server)
        return;
    c->going_away = true;
    nghttp2_submit_shutdown_notice(c->session);
    task_wake(&c->flush);
}

void h2_terminate(struct h2_connection *c, uint32_t code)
{
    if (c->over)
        return;
    c->draining = true;
    nghttp2_session_terminate_session(c->session, code);
    task_wake(&c->flush);
}
