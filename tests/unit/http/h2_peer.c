#include "h2_peer.h"

#include <stdio.h>
#include <string.h>

static void note(struct peer *p, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    p->len += (size_t)vsnprintf(p->log + p->len, sizeof(p->log) - p->len, format, args);
    va_end(args);
    assert_true(p->len < sizeof(p->log));
}

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len,
                     uint8_t flags, void *owner)
{
    (void)s, (void)flags;
    note(owner, "[%d] %.*s: %.*s\n", frame->hd.stream_id, (int)name_len,
         (const char *)name, (int)value_len, (const char *)value);
    return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *owner)
{
    (void)s;
    switch (frame->hd.type) {
    case NGHTTP2_SETTINGS:
        note(owner, "settings%s\n", frame->hd.flags & NGHTTP2_FLAG_ACK ? " ack" : "");
        return 0;
    case NGHTTP2_PING:
        note(owner, "ping%s\n", frame->hd.flags & NGHTTP2_FLAG_ACK ? " ack" : "");
        return 0;
    case NGHTTP2_GOAWAY:
        note(owner, "goaway %u last %d\n", frame->goaway.error_code,
             frame->goaway.last_stream_id);
        return 0;
    case NGHTTP2_RST_STREAM:
        note(owner, "[%d] reset %u\n", frame->hd.stream_id, frame->rst_stream.error_code);
        return 0;
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS:
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
            note(owner, "[%d] end\n", frame->hd.stream_id);
        return 0;
    default:
        return 0;
    }
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t n, void *owner)
{
    struct peer *p = owner;

    (void)s, (void)flags, (void)bytes;
    note(p, "[%d] data %zu\n", id, n);
    p->data += n;
    return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *owner)
{
    (void)s;
    note(owner, "[%d] closed %u\n", id, code);
    return 0;
}

static void on_wake(struct task *t)
{
    container_of(t, struct peer, wake)->wakes++;
}

void peer_start(struct peer *p, bool server)
{
    nghttp2_session_callbacks *cb;
    nghttp2_option *option;

    memset(p, 0, offsetof(struct peer, log));
    p->len = p->data = p->body_left = 0;
    p->body_holds = false;
    p->now = 1000;
    p->log[0] = '\0';
    sched_init(&p->sched, 1);
    chunk_pool_init(&p->pool, 64);
    task_init(&p->wake, &p->sched, RANK_WORK, on_wake);
    struct stream_pair pair = mem_stream_pair(&p->sched, &p->pool, 65536);
    p->near = pair.a;
    p->far = pair.b;
    p->settings = (struct h2_settings){ .sched = &p->sched,
                                        .pool = &p->pool,
                                        .max_head_size = 65536,
                                        .max_head_fields = 200,
                                        .streams_max = 100,
                                        .window = PEER_WINDOW };
    h2_settings_init(&p->settings);
    p->c = server ? h2_server_create(&p->settings, p->near, &p->wake)
                  : h2_client_create(&p->settings, p->near, &p->wake);

    assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_option_set_no_http_messaging(option, 1); /* it may send what is forbidden */
    if (server)
        nghttp2_session_client_new2(&p->session, cb, p, option);
    else
        nghttp2_session_server_new2(&p->session, cb, p, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    assert_int_equal(nghttp2_submit_settings(p->session, NGHTTP2_FLAG_NONE, NULL, 0), 0);
}

void peer_finish(struct peer *p)
{
    h2_destroy(p->c);
    stream_abort(p->near);
    stream_abort(p->far);
    nghttp2_session_del(p->session);
    h2_settings_finish(&p->settings);
    task_cancel(&p->wake);
    sched_finish(&p->sched);
    assert_int_equal(p->pool.held,
                     p->pool.live * sizeof(struct chunk) + p->pool.live * CHUNK_SIZE);
    chunk_pool_finish(&p->pool);
}

static bool exchange_frames(struct peer *p)
{
    const uint8_t *bytes;
    bool moved = false;
    size_t len;

    while (!bufq_full(&p->far->out)) {
        ssize_t n = nghttp2_session_mem_send(p->session, &bytes);
        if (n <= 0)
            break;
        size_t limit = p->far->out.limit;
        p->far->out.limit = SIZE_MAX;
        bufq_write(&p->far->out, bytes, (size_t)n);
        p->far->out.limit = limit;
        moved = true;
    }
    while (!bufq_empty(&p->far->in)) {
        bytes = bufq_peek(&p->far->in, &len);
        ssize_t n = nghttp2_session_mem_recv(p->session, bytes, len);
        if (n < 0)
            note(p, "peer: %s\n", nghttp2_strerror((int)n));
        bufq_skip(&p->far->in, n < 0 ? len : (size_t)n);
        moved = true;
    }
    stream_update(p->far);
    return moved;
}

void peer_run(struct peer *p)
{
    for (bool moved = true; moved;) {
        sched_run(&p->sched, p->now);
        moved = exchange_frames(p);
    }
}

const char *peer_received(struct peer *p)
{
    p->log[p->len] = '\0';
    peer_run(p);
    p->len = 0;
    return p->log;
}

void peer_send(struct peer *p, const void *bytes, size_t n)
{
    const char *at = bytes;

    while (n) {
        size_t sent = bufq_write(&p->far->out, at, n);
        at += sent;
        n -= sent;
        stream_update(p->far);
        sched_run(&p->sched, p->now);
        if (!sent && bufq_full(&p->far->out))
            break; /* the connection reads no more */
    }
}

static ssize_t on_source(nghttp2_session *s, int32_t id, uint8_t *buffer, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *owner)
{
    struct peer *p = owner;
    size_t n = p->body_left < room ? p->body_left : room;

    (void)s, (void)id, (void)source;
    memset(buffer, 'b', n);
    p->body_left -= n;
    if (n == 0 && p->body_holds)
        return NGHTTP2_ERR_DEFERRED;
    if (p->body_left == 0 && !p->body_holds)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static size_t fields_of(const char *const *fields, nghttp2_nv *nv)
{
    size_t n = 0;

    for (; fields[2 * n]; n++) {
        const char *name = fields[2 * n], *value = fields[2 * n + 1];
        nv[n] =
            (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value,
                          strlen(name), strlen(value),
                          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE };
    }
    return n;
}

int32_t peer_request(struct peer *p, const char *const *fields, size_t body, bool hold)
{
    nghttp2_nv nv[256];
    nghttp2_data_provider source = { .read_callback = on_source };
    size_t n = fields_of(fields, nv);

    p->body_left = body;
    p->body_holds = hold;
    return nghttp2_submit_request(p->session, NULL, nv, n, body || hold ? &source : NULL,
                                  NULL);
}

int32_t peer_get(struct peer *p, const char *path)
{
    const char *const fields[] = { ":method",  "GET",   ":scheme", "http", ":authority",
                                   "web.shop", ":path", path,      NULL };
    return peer_request(p, fields, 0, false);
}

void peer_answer(struct peer *p, int32_t id, const char *const *fields, size_t body,
                 bool hold)
{
    nghttp2_nv nv[256];
    nghttp2_data_provider source = { .read_callback = on_source };
    size_t n = fields_of(fields, nv);

    p->body_left = body;
    p->body_holds = hold;
    nghttp2_submit_response(p->session, id, nv, n, body || hold ? &source : NULL);
}
