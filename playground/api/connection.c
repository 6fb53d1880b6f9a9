#include "playground/api/connection.h"

#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "net/tls.h"
#include "playground/api/answer.h"
#include "playground/api/watch.h"
#include "playground/forward/session.h"
#include "playground/forward/ws_stream.h"
#include "playground/head.h"
#include "playground/tls_server.h"

LOG_MODULE(playground);

#define BODY_MAX (1024 * 1024)
#define WATCH_GATHER (32 * 1024) /* maximum of text that waits for the socket */
#define BOOKMARK_MS 60000
#define WATCH_SECONDS 1800 /* a watch without timeoutSeconds */

/* clang-format off */
#define STATES(X) \
    X(HEAD,    head,    90000) /* waiting for a request                         */ \
    X(BODY,    body,    30000) /* reading its body                              */ \
    X(REPLY,   reply,       0) /* sending the answer                            */ \
    X(WATCH,   watch,       0) /* sending events                                */ \
    X(SWITCH,  switch,      0) /* sending the 101: then the session has it      */ \
    X(FLUSH,   flush,    5000) /* the last bytes, then the end                  */ \
    X(CLOSED,  closed,      0) /* gone when the step returns                    */
/* clang-format on */

enum connection_state {
#define X(NAME, name, ms) CONNECTION_##NAME,
    STATES(X)
#undef X
};

struct connection {
    struct list_node node;
    struct cluster *cluster;
    struct log_id id;
    enum connection_state state;
    struct stream *stream; /* owned; NULL once a session has it */
    bool trusted;          /* accepted on the control socket */
    struct task work;
    struct timer deadline;

    struct head_reader reader;
    struct text
        head_text; /* the head of the current request, kept while its body is read */
    struct http1_head head; /* views into head_text */
    struct text body;
    bool keep_alive;

    struct answer answer;
    struct text out; /* text for which the stream has no room yet */
    size_t out_sent;

    struct watch watch;
    struct store_watcher watcher;
    struct timer bookmark;
    uint64_t watch_until;
};

#define X(NAME, name, ms) static enum connection_state in_##name(struct connection *c);
STATES(X)
#undef X

static const struct {
    const char *name;
    enum connection_state (*run)(struct connection *c);
    uint32_t deadline_ms;
} states[] = {
#define X(NAME, name, ms) [CONNECTION_##NAME] = { #name, in_##name, ms },
    STATES(X)
#undef X
};

static void destroy(struct connection *c)
{
    list_remove(&c->node);
    store_unwatch(&c->watcher);
    task_cancel(&c->work);
    timer_stop(&c->deadline);
    timer_stop(&c->bookmark);
    head_finish(&c->reader);
    answer_finish(&c->answer);
    view_finish(&c->watch.start.view);
    text_finish(&c->head_text);
    text_finish(&c->body);
    text_finish(&c->out);
    stream_close(c->stream);
    free(c);
}

/* Move text into the stream; true when all of it is there. */
static bool drain(struct connection *c)
{
    struct str left = str_skip(text_str(&c->out), c->out_sent);
    if (left.len)
        c->out_sent += bufq_write(&c->stream->out, left.at, left.len);
    if (c->out_sent < c->out.len)
        return false;
    text_clear(&c->out);
    c->out_sent = 0;
    return true;
}

static bool has_all_of_body(const struct connection *c)
{
    return c->head.framing == BODY_NONE || c->body.len >= c->head.length;
}

static enum connection_state take_request(struct connection *c);

/* Chunked bodies are not expected here: no client of this API sends them. */
static enum connection_state in_body(struct connection *c)
{
    struct bufq *in = &c->stream->in;
    size_t len;

    for (const uint8_t *at; !has_all_of_body(c) && (at = bufq_peek(in, &len));) {
        size_t missing = (size_t)c->head.length - c->body.len;
        size_t n = len < missing ? len : missing;
        text_add(&c->body, (struct str){ (const char *)at, n });
        bufq_skip(in, n);
    }
    if (!has_all_of_body(c))
        return c->stream->in_eof ? CONNECTION_CLOSED : CONNECTION_BODY;
    return take_request(c);
}

static enum connection_state refuse(struct connection *c)
{
    answer_failure(&c->answer, 400, "BadRequest", NULL, "%s",
                   c->head.problem ? c->head.problem : "bad request");
    text_printf(&c->out,
                "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
                "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                c->answer.body.len);
    text_add(&c->out, text_str(&c->answer.body));
    return CONNECTION_FLUSH;
}

static void put_head(struct connection *c)
{
    const struct answer *a = &c->answer;
    text_printf(&c->out, "HTTP/1.1 %d %s\r\n", a->status, http1_reason(a->status));
    text_add(&c->out, text_str(&a->fields));
    if (a->next == NEXT_FORWARD || a->next == NEXT_TUNNEL) {
        text_add(&c->out, STR("\r\n"));
        return;
    }
    if (!c->keep_alive)
        text_add(&c->out, STR("Connection: close\r\n"));
    if (a->next == NEXT_WATCH)
        text_add(&c->out, STR("Content-Type: application/json\r\n"
                              "Transfer-Encoding: chunked\r\n\r\n"));
    else
        text_printf(&c->out, "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                    a->content_type ? a->content_type : "text/plain", a->body.len);
}

static void answer_request(struct connection *c)
{
    char user[64];
    bool known = tls_peer_name(c->stream, user, sizeof(user));
    struct call call = { &c->head, text_str(&c->body), known || c->trusted };

    respond(c->cluster, &call, &c->answer);
    log_info(c->id, "request", LOG_V("method", c->head.method),
             LOG_V("target", c->head.target), LOG_I("status", c->answer.status));
    put_head(c);
    if (!str_eq(c->head.method, STR("HEAD")))
        text_add(&c->out, text_str(&c->answer.body));
}

static void begin_watch(struct connection *c)
{
    uint64_t seconds =
        c->answer.watch.timeout_s ? c->answer.watch.timeout_s : WATCH_SECONDS;
    if (c->cluster->faults.watch_s && seconds > c->cluster->faults.watch_s)
        seconds = c->cluster->faults.watch_s;
    c->watch = (struct watch){ .start = c->answer.watch };
    c->answer.watch = (struct watch_start){ 0 };
    c->watch_until = c->deadline.sched->now + seconds * 1000;
    store_watch(c->cluster->store, &c->watcher, &c->work);
    timer_set_at(&c->deadline, c->watch_until);
    timer_set(&c->bookmark, BOOKMARK_MS);
}

static enum connection_state take_request(struct connection *c)
{
    answer_request(c);
    switch (c->answer.next) {
    case NEXT_WATCH:
        begin_watch(c);
        return CONNECTION_WATCH;
    case NEXT_FORWARD:
    case NEXT_TUNNEL:
        return CONNECTION_SWITCH;
    case NEXT_SEND:
        break;
    }
    return CONNECTION_REPLY;
}

/* Copies the head, because it is removed from the queue before the body is read. */
static enum err keep_head(struct connection *c)
{
    text_clear(&c->head_text);
    text_clear(&c->body);
    text_add(&c->head_text, head_bytes(&c->reader, &c->stream->in));
    head_done(&c->reader, &c->stream->in);
    enum err e = http1_request_parse(c->head_text.at, c->head_text.len, &c->head);
    c->keep_alive = c->head.keep_alive;
    return e;
}

static enum connection_state in_head(struct connection *c)
{
    struct stream *s = c->stream;
    enum err e = head_read(&c->reader, &s->in, &c->head);
    if (e == ERR_AGAIN)
        return s->in_eof ? CONNECTION_FLUSH : CONNECTION_HEAD;
    if (!e)
        e = keep_head(c);
    if (e || c->head.framing == BODY_CHUNKED || c->head.length > BODY_MAX)
        return refuse(c);
    return CONNECTION_BODY;
}

static enum connection_state in_reply(struct connection *c)
{
    if (!drain(c))
        return CONNECTION_REPLY;
    answer_finish(&c->answer);
    return c->keep_alive ? CONNECTION_HEAD : CONNECTION_FLUSH;
}

static void put_chunk(struct connection *c, const struct text *events)
{
    char head[HTTP1_CHUNK_HEAD_MAX];
    size_t n = http1_chunk_head_encode(events->len, head);
    text_add(&c->out, (struct str){ head, n });
    text_add(&c->out, text_str(events));
    text_add(&c->out, STR("\r\n"));
}

static enum connection_state in_watch(struct connection *c)
{
    struct text events = { 0 };
    bool late = c->deadline.sched->now >= c->watch_until;

    if (c->stream->in_eof)
        return CONNECTION_CLOSED;
    if (!drain(c))
        return CONNECTION_WATCH;
    watch_write(&c->watch, c->cluster->store, &events, WATCH_GATHER);
    if (events.len)
        put_chunk(c, &events);
    text_finish(&events);
    if (!late && !c->watch.over)
        return drain(c) && store_event_after(c->cluster->store, c->watch.start.revision)
                   ? in_watch(c)
                   : CONNECTION_WATCH;

    text_add(&c->out, STR("0\r\n\r\n"));
    store_unwatch(&c->watcher);
    timer_stop(&c->bookmark);
    view_finish(&c->watch.start.view);
    return CONNECTION_REPLY;
}

static void open_session(struct connection *c)
{
    struct stream *stream = TAKE(c->stream);
    int fd = drop_fd(stream);
    stream->wake = NULL;
    /* real relays also lose bytes that were sent before the 101 */
    bufq_clear(&stream->in);
    if (c->answer.next == NEXT_TUNNEL)
        stream = ws_stream_open(c->cluster->loop, stream);
    session_open(c->cluster, stream, fd, str_of(c->answer.pod_uid));
}

static enum connection_state in_switch(struct connection *c)
{
    if (!drain(c))
        return CONNECTION_SWITCH;
    stream_update(c->stream);
    open_session(c);
    return CONNECTION_CLOSED;
}

static enum connection_state in_flush(struct connection *c)
{
    if (!drain(c))
        return CONNECTION_FLUSH;
    bufq_clear(&c->stream->in);
    stream_shutdown(c->stream);
    return c->stream->out_eof && bufq_empty(&c->stream->out) ? CONNECTION_CLOSED
                                                             : CONNECTION_FLUSH;
}

static enum connection_state in_closed(struct connection *c)
{
    (void)c;
    return CONNECTION_CLOSED;
}

static void enter(struct connection *c, enum connection_state next)
{
    log_debug(c->id, "state", LOG_S("from", states[c->state].name),
              LOG_S("to", states[next].name));
    c->state = next;
    if (next != CONNECTION_WATCH)
        timer_set(&c->deadline, states[next].deadline_ms);
}

static void step(struct task *task)
{
    struct connection *c = container_of(task, struct connection, work);
    enum connection_state next;

    c->stream->paused = c->cluster->faults.blackhole && !c->trusted;
    if (c->stream->paused && !c->stream->broken)
        return;
    while (c->state != CONNECTION_CLOSED) {
        next = c->stream->broken ? CONNECTION_CLOSED : states[c->state].run(c);
        if (next == c->state)
            break;
        enter(c, next);
    }
    if (c->state == CONNECTION_CLOSED)
        destroy(c);
    else
        stream_update(c->stream);
}

static void on_deadline(struct timer *timer)
{
    struct connection *c = container_of(timer, struct connection, deadline);
    if (c->state != CONNECTION_WATCH)
        enter(c, CONNECTION_CLOSED);
    task_wake(&c->work);
}

static void on_bookmark(struct timer *timer)
{
    struct connection *c = container_of(timer, struct connection, bookmark);
    struct text line = { 0 };

    if (c->watch.start.bookmarks && c->out.len == 0) {
        watch_bookmark(&c->watch, &line);
        put_chunk(c, &line);
        text_finish(&line);
    }
    timer_set(&c->bookmark, BOOKMARK_MS);
    task_wake(&c->work);
}

void connection_open(struct cluster *cluster, struct stream *stream, bool trusted)
{
    struct connection *c = xcalloc(1, sizeof(*c));
    struct sched *sched = loop_sched(cluster->loop);

    c->cluster = cluster;
    c->id = (struct log_id){ .kind = 'c', .number = ++cluster->connections_opened };
    c->stream = stream;
    c->trusted = trusted;
    task_init(&c->work, sched, RANK_WORK, step);
    timer_init(&c->deadline, sched, on_deadline);
    timer_init(&c->bookmark, sched, on_bookmark);
    timer_set(&c->deadline, states[CONNECTION_HEAD].deadline_ms);
    stream->wake = &c->work;
    list_append(&cluster->connections, &c->node);
    task_wake(&c->work);
}

void connections_drop(struct cluster *cluster, enum drop how)
{
    list_for_each (c, &cluster->connections, struct connection, node) {
        if (c->trusted && how != DROP_ORDERLY)
            continue;
        struct stream *stream = TAKE(c->stream);
        drop_stream(stream, drop_fd(stream), how);
        destroy(c);
    }
}

void connections_wake(struct cluster *cluster)
{
    list_for_each (c, &cluster->connections, struct connection, node)
        task_wake(&c->work);
}
