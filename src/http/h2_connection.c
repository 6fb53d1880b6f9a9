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

#include "base/own.h"
#include "http/h2_private.h"

#define ACKNOWLEDGE_MS 10000
#define FRAME_HEAD 9
#define FRAME_SETTINGS 4

/* ---- ends ---- */

bool h2_was_sent(const struct h2_connection *c, const struct h2_stream *s)
{
    return s->id > 0 &&
           (c->server || nghttp2_session_get_stream_user_data(c->session, s->id) == s);
}

/* Can the far end have processed it? */
static enum verdict verdict_of(const struct h2_connection *c, const struct h2_stream *s)
{
    enum verdict below = c->below->end.verdict;

    if (!h2_was_sent(c, s) || c->peer == H2_PEER_OTHER)
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
    timer_stop(&c->linger);
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
    c->streams_max = s->streams_max;
    c->window = s->window;
    c->below = below;
    c->server = server;
    c->wake = wake;
    list_init(&c->streams);
    list_init(&c->incoming);
    list_init(&c->sending);
    list_init(&c->lingering);
    task_init(&c->read, s->sched, RANK_READ, on_read);
    task_init(&c->flush, s->sched, RANK_FLUSH, on_flush);
    timer_init(&c->acknowledged, s->sched, on_unacknowledged);
    timer_init(&c->linger, s->sched, h2_on_linger);
    int e = server ? nghttp2_session_server_new3(&c->session, s->callbacks, c, s->options,
                                                 &memory)
                   : nghttp2_session_client_new3(&c->session, s->callbacks, c, s->options,
                                                 &memory);
    if (e)
        abort(); /* its memory is far below the limit */
    h2_settings_submit(c);
    timer_set(&c->acknowledged, ACKNOWLEDGE_MS);
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
    timer_stop(&c->linger);
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

void h2_assume_streams(struct h2_connection *c, uint32_t n)
{
    c->assumed = n;
}

uint32_t h2_streams_accepted(const struct h2_connection *c)
{
    return nghttp2_session_get_remote_settings(c->session,
                                               NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

size_t h2_capacity(const struct h2_connection *c)
{
    bool assumes = !c->has_settings && c->assumed;
    uint32_t theirs = assumes ? c->assumed : h2_streams_accepted(c);
    uint32_t ours = c->streams_max;
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
