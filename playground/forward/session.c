#include "playground/forward/session.h"

#include <stdio.h>

#include "base/own.h"
#include "playground/forward/pair.h"
#include "playground/forward/spdy_headers.h"
#include "playground/forward/worker.h"

LOG_MODULE(playground);

#define FLUSH_AT_ONCE (64 * 1024)
#define LOOK_MS 5000

/* Frames in. */

static void read_wish(const struct spdy_header *fields, size_t count, uint32_t id,
                      struct stream_wish *ret)
{
    struct str type = spdy_headers_find(fields, count, STR("streamtype"));
    struct str request = spdy_headers_find(fields, count, STR("requestid"));
    uint64_t port;

    *ret = (struct stream_wish){ .error = str_eq(type, STR("error")) };
    if (!ret->error && !str_eq(type, STR("data")))
        return;
    if (str_to_uint(spdy_headers_find(fields, count, STR("port")), 65535, &port) || !port)
        return;
    ret->port = (uint16_t)port;
    /* without a request id (old clients), the data stream follows its error stream */
    if (str_empty(request))
        snprintf(ret->request, sizeof(ret->request), "%u", ret->error ? id : id - 2);
    else
        snprintf(ret->request, sizeof(ret->request), "%.*s", STR_ARG(request));
    ret->valid = true;
}

static enum err session_inflate_block(struct session *s, struct frame *f,
                                      struct str block)
{
    struct spdy_header fields[SPDY_HEADERS_MAX];
    size_t count;
    enum err e = spdy_headers_decode(s->inflater, block, fields, &count);
    if (!e)
        read_wish(fields, count, f->control.id, &f->wish);
    return e;
}

static enum err decode_control(struct session *s, struct frame *f)
{
    size_t n = f->payload.len;
    AUTO_FREE uint8_t *body = xmalloc(n + 1);

    bufq_read(&f->payload, body, n);
    enum err e = spdy_control_decode(&f->head, body, &f->control);
    if (e || f->head.type != SPDY_SYN_STREAM)
        return e;
    e = session_inflate_block(s, f, f->control.block);
    f->control.block = (struct str){ 0 };
    return e;
}

/* The worker of a frame. */
static struct worker *worker_of(struct session *s, const struct frame *f)
{
    switch (f->head.type) {
    case SPDY_DATA:
        return &s->workers[f->head.id % WORKERS];
    case SPDY_SYN_STREAM:
    case SPDY_SYN_REPLY:
    case SPDY_RST_STREAM:
    case SPDY_HEADERS:
        return &s->workers[f->control.id % WORKERS];
    default:
        return &s->workers[s->round_robin % WORKERS];
    }
}

/* Ids must increase.  The reader checks it, in the order of the frames. */
static bool id_may_open(struct session *s, const struct frame *f)
{
    if (f->head.type != SPDY_SYN_STREAM)
        return true;
    if (f->control.id < s->next_id) {
        session_put_reset(s, f->control.id, SPDY_PROTOCOL_ERROR);
        return false;
    }
    s->next_id = f->control.id + 2;
    return true;
}

static bool is_dealt(const struct frame *f)
{
    return f->head.type == SPDY_PING || f->head.type == SPDY_SETTINGS ||
           f->head.type == SPDY_WINDOW_UPDATE;
}

/* Reads one frame.  OK: s->incoming is complete.  ERR_EOF: a GOAWAY. */
static enum err read_frame(struct session *s)
{
    struct bufq *in = &s->stream->in;

    if (!s->incoming) {
        uint8_t bytes[SPDY_HEAD];
        struct spdy_head head;
        size_t n = bufq_copy(in, 0, bytes, sizeof(bytes));
        enum err e = spdy_head_decode(bytes, n, &head);
        if (e)
            return e;
        bufq_skip(in, SPDY_HEAD);
        s->incoming = frame_create(&head, in->pool);
        s->incoming_left = head.length;
        s->body_begun = true;
    }
    s->incoming_left -=
        (uint32_t)bufq_move_n(&s->incoming->payload, in, s->incoming_left);
    return s->incoming_left ? ERR_AGAIN : OK;
}

static enum err understand(struct session *s)
{
    struct frame *f = s->incoming;
    if (!s->body_begun) /* else it was parsed before, and waits for room in a queue */
        return OK;
    s->body_begun = false;
    enum err e = f->head.type == SPDY_DATA ? OK : decode_control(s, f);
    if (!e && f->head.type == SPDY_GOAWAY)
        return ERR_EOF;
    return e;
}

/* Reads frames and queues them for workers, until no whole frame is left or a queue is
 * full (ERR_LIMIT). */
static enum err read_frames(struct session *s)
{
    for (;;) {
        enum err e = read_frame(s);
        bool fresh = s->body_begun;
        if (!e)
            e = understand(s);
        if (e)
            return e;
        struct frame *f = s->incoming;
        if (fresh && !id_may_open(s, f)) {
            frame_destroy(TAKE(s->incoming));
            continue;
        }
        if (!worker_queue(worker_of(s, f), f))
            return ERR_LIMIT;
        s->round_robin += is_dealt(f);
        s->incoming = NULL;
    }
}

static void run_workers(struct session *s)
{
    for (size_t i = 0; i < WORKERS; i++)
        worker_run(&s->workers[i], s);
}

static bool queue_has_room(struct session *s)
{
    return s->incoming && worker_of(s, s->incoming)->queued < WORKER_QUEUE;
}

static void destroy(struct session *s, enum drop how)
{
    log_info(s->id, "session ended");
    pairs_destroy(s);
    for (size_t i = 0; i < STREAM_BUCKETS; i++)
        list_for_each (stream, &s->streams[i], struct spdy_stream, node)
            session_remove_stream(stream);
    for (size_t i = 0; i < WORKERS; i++)
        worker_finish(&s->workers[i]);
    frame_destroy(s->incoming);
    spdy_inflater_destroy(s->inflater);
    bufq_finish(&s->out);
    task_cancel(&s->work);
    task_cancel(&s->flush);
    list_remove(&s->node);
    timer_stop(&s->look);
    drop_stream(s->stream, s->fd, how);
    free(s->pod_uid);
    free(s);
}

static void on_work(struct task *task)
{
    struct session *s = container_of(task, struct session, work);
    bool still = s->frozen || s->cluster->faults.blackhole;
    enum err e = OK;

    s->stream->paused = still;
    if (s->stream->broken) {
        destroy(s, DROP_ORDERLY);
        return;
    }
    if (still)
        return;
    if (!s->look.at)
        timer_set(&s->look, LOOK_MS);
    do {
        e = read_frames(s);
        run_workers(s);
    } while (e == ERR_LIMIT && queue_has_room(s));

    bool broke_protocol = e != ERR_AGAIN && e != ERR_LIMIT;
    if (s->stream->in_eof || broke_protocol) {
        destroy(s, DROP_ORDERLY);
        return;
    }
    task_wake(&s->flush);
}

static void flush_cut_short(struct session *s)
{
    bufq_move_n(&s->stream->out, &s->out, s->out.len > 5 ? 5 : s->out.len);
    stream_update(s->stream);
    destroy(s, DROP_ORDERLY);
}

static void on_flush(struct task *task)
{
    struct session *s = container_of(task, struct session, flush);
    bool trickle = s->cluster->faults.trickle;

    if (s->frozen || s->cluster->faults.blackhole)
        return;
    if (s->cut_short && !bufq_empty(&s->out)) {
        flush_cut_short(s);
        return;
    }
    bufq_move_n(&s->stream->out, &s->out, trickle ? 1 : FLUSH_AT_ONCE);
    stream_update(s->stream);
    if (trickle && !bufq_empty(&s->out))
        task_yield(&s->flush);
    if (session_room(s) >= SESSION_ROOM / 2)
        pair_wake(&s->waiting);
}

/* A blocked reader does not notice that its client has closed.  The real implementation
 * then leaks the session; this one checks. */
static void on_look(struct timer *timer)
{
    struct session *s = container_of(timer, struct session, look);
    if (s->incoming && drop_was_left(s->fd))
        destroy(s, DROP_ORDERLY);
    else
        timer_set(&s->look, LOOK_MS);
}

void session_open(struct cluster *c, struct stream *stream, int fd, struct str pod_uid)
{
    struct session *s = xcalloc(1, sizeof(*s));
    struct sched *sched = loop_sched(c->loop);

    s->cluster = c;
    s->id = (struct log_id){ .kind = 't', .number = ++c->sessions_opened };
    s->stream = stream;
    s->fd = fd;
    s->pod_uid = str_dup(pod_uid);
    s->inflater = spdy_inflater_create();
    s->next_id = 1;
    for (size_t i = 0; i < WORKERS; i++)
        worker_init(&s->workers[i]);
    for (size_t i = 0; i < STREAM_BUCKETS; i++)
        list_init(&s->streams[i]);
    list_init(&s->pairs);
    list_init(&s->waiting);
    bufq_init(&s->out, loop_pool(c->loop), SIZE_MAX);
    task_init(&s->work, sched, RANK_WORK, on_work);
    task_init(&s->flush, sched, RANK_FLUSH, on_flush);
    timer_init(&s->look, sched, on_look);
    stream->wake = &s->work;
    list_append(&c->sessions, &s->node);
    const struct pod *pod = session_pod(s);
    snprintf(s->sandbox, sizeof(s->sandbox), "%s", pod ? pod->sandbox : "");
    log_info(s->id, "session", LOG_S("pod", pod ? pod->name : "gone"));
    task_wake(&s->work);
}

void sessions_drop(struct cluster *c, enum drop how)
{
    list_for_each (s, &c->sessions, struct session, node)
        destroy(s, how);
}

void sessions_freeze(struct cluster *c)
{
    list_for_each (s, &c->sessions, struct session, node) {
        s->frozen = true;
        task_wake(&s->work);
    }
}

void sessions_stall(struct cluster *c, unsigned worker)
{
    list_for_each (s, &c->sessions, struct session, node)
        s->workers[worker % WORKERS].stalled = true;
}

void sessions_cut_short(struct cluster *c)
{
    list_for_each (s, &c->sessions, struct session, node)
        s->cut_short = true;
}

void sessions_wake(struct cluster *c)
{
    list_for_each (s, &c->sessions, struct session, node)
        task_wake(&s->work);
}
