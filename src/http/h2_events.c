/* http/h2_events.c - what nghttp2 reports of a connection: heads, bodies, ends, settings
 *
 * A callback writes fields and wakes tasks; it never enters nghttp2 but to submit a frame.
 */
#include <stdio.h>

#include "base/own.h"
#include "http/h2_private.h"

static struct h2_stream *stream_by_id(struct h2_connection *c, int32_t id)
{
    return nghttp2_session_get_stream_user_data(c->session, id);
}

static void end_of_stream(struct h2_stream *s)
{
    stream_end(&s->bytes, V_CLEAN, NULL);
    task_wake(s->bytes.wake);
}

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
    if (!acknowledged && !c->server)
        h2_streams_give_up_queued(c);
    task_wake(c->wake); /* how many streams it accepts may have changed */
}

/* nghttp2 would end requests that wait for a stream of their own only after others have ended,
 * which may take long. */
static void on_goaway(struct h2_connection *c)
{
    c->draining = c->stopped = true;
    list_for_each (s, &c->streams, struct h2_stream, member)
        if (!c->server && s->id && !h2_was_sent(c, s))
            h2_stream_give_up(s);
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

/* A request that nghttp2 could not begin any more.  Without this it would be closed with
 * INTERNAL_ERROR, as if it might have been processed. */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame,
                             int error, void *owner)
{
    struct h2_connection *c = owner;

    (void)error;
    if (frame->hd.type != NGHTTP2_HEADERS || c->server)
        return 0;
    struct h2_stream *s = stream_by_id(c, frame->hd.stream_id);
    if (!s || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    nghttp2_session_set_stream_user_data(session, s->id, NULL);
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

/* Of a stream that its user did not reset: the far end broke a rule in it.  nghttp2 limits only
 * the resets that the far end sends. */
static void on_reset_sent(struct h2_connection *c, const struct h2_stream *s)
{
    uint64_t now = c->settings->sched->now;

    if (!c->server || (s && s->reset_sent))
        return;
    uint64_t earned = (now - c->resets_at) * H2_RESETS_A_SECOND / 1000;
    if (earned) {
        c->resets = c->resets > earned ? c->resets - (unsigned)earned : 0;
        c->resets_at = now;
    }
    if (++c->resets > H2_RESETS_AT_ONCE) {
        c->problem = "too many streams broke a rule";
        nghttp2_session_terminate_session(c->session, NGHTTP2_ENHANCE_YOUR_CALM);
    }
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame,
                         void *owner)
{
    struct h2_connection *c = owner;
    const nghttp2_frame_hd *hd = &frame->hd;
    if (hd->type == NGHTTP2_GOAWAY)
        on_goaway_sent(c, &frame->goaway);
    if (hd->type == NGHTTP2_RST_STREAM)
        on_reset_sent(c, stream_by_id(c, hd->stream_id));
    bool ends = (hd->type == NGHTTP2_DATA || hd->type == NGHTTP2_HEADERS) &&
                (hd->flags & NGHTTP2_FLAG_END_STREAM);
    struct h2_stream *s = ends ? stream_by_id(c, hd->stream_id) : NULL;

    if (!s)
        return 0;
    s->bytes.out_eof = true;
    task_wake(s->bytes.wake);
    if (s->reset_at_end && !s->bytes.in_eof && s->server)
        h2_stream_linger(s);
    else if (s->reset_at_end && !s->bytes.in_eof)
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

nghttp2_session_callbacks *h2_callbacks_create(void)
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
