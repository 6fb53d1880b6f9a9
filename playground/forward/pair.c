/* playground/forward/pair.c - copies between a pair of streams and a pod, as containerd
 * does
 *
 * Two copies run, client to pod and pod to client.  When one has ended, the other
 * continues for one second; then the connection is closed, and both streams end.  So a
 * response is truncated one second after a client's FIN, and after a pod's FIN the end is
 * delayed by a second.  After the end one frame of the client may still be read, but no
 * second one.  Only the error stream reports how the connection ended.
 */
#include "playground/forward/pair.h"

#include <stdio.h>

#include "base/own.h"

LOG_MODULE(playground);

#define JOIN_MS 30000    /* how long a stream waits for the other one of its pair */
#define FRAME_DATA 32768 /* the runtime copies with a buffer of this size */
/* with less room than this it waits, instead of sending small frames */
#define DATA_ROOM 8192
#define ERROR_TEXT 1024

/* clang-format off */
enum pair_state {
    PAIR_HALF,   /* one stream was opened, the other not yet */
    PAIR_OPEN,   /* both copies run */
    PAIR_ENDING, /* one copy has ended, the other has a second left */
    PAIR_FAILED, /* it failed, which is reported when the second is over */
    PAIR_ENDED,  /* the data stream has ended; the error stream reports later */
};
/* clang-format on */

struct pair {
    struct list_node node;    /* in the session's pairs */
    struct list_node waiting; /* in the session's list `waiting`, or in none */
    struct session *session;
    char request[REQUEST_ID_MAX];
    enum pair_state state;
    uint16_t port;
    uint32_t error_id, data_id; /* 0: not opened yet */
    struct stream *pod;         /* owned */
    struct bufq unread;         /* taken from a worker, not yet written to the pod */
    bool client_ended;
    struct task work;
    struct timer timer;
    char why[ERROR_TEXT]; /* of PAIR_FAILED and PAIR_ENDED */
    bool well;            /* of PAIR_ENDED: an orderly end, without an error text */
};

static void detach(struct pair *p, uint32_t id, enum consumer consumer)
{
    struct spdy_stream *stream = id ? session_stream(p->session, id) : NULL;
    if (!stream || stream->pair != p)
        return;
    stream->pair = NULL;
    stream->consumer = consumer;
}

void pair_destroy(struct pair *p)
{
    detach(p, p->error_id, CONSUMER_NONE);
    detach(p, p->data_id, CONSUMER_NONE);
    list_remove(&p->node);
    list_remove(&p->waiting);
    task_cancel(&p->work);
    timer_stop(&p->timer);
    bufq_finish(&p->unread);
    stream_close(p->pod);
    free(p);
}

void pairs_destroy(struct session *s)
{
    list_for_each (p, &s->pairs, struct pair, node)
        pair_destroy(p);
}

static void end_stream(struct pair *p, uint32_t id)
{
    struct spdy_stream *stream = session_stream(p->session, id);
    struct bufq none;

    bufq_init(&none, p->unread.pool, 0);
    session_put_data(p->session, id, SPDY_FIN, &none, 0);
    if (!stream)
        return; /* the client has reset the stream: the end is sent nevertheless */
    stream->local_end = true;
    if (stream->remote_end)
        session_remove_stream(stream);
}

static void put_text(struct pair *p, const char *text)
{
    struct bufq bytes;
    bufq_init(&bytes, p->unread.pool, ERROR_TEXT);
    bufq_write(&bytes, text, strlen(text));
    session_put_data(p->session, p->error_id, 0, &bytes, bytes.len);
    bufq_finish(&bytes);
}

static void reset_stream(struct pair *p, uint32_t id)
{
    struct spdy_stream *stream = session_stream(p->session, id);
    session_put_reset(p->session, id, SPDY_CANCEL);
    if (stream)
        session_remove_stream(stream);
}

/* Sends the error text on the error stream, and ends the pair. */
static void report(struct pair *p, const char *why)
{
    struct session *s = p->session;
    bool silent = why && !*why;
    bool resets = silent || (why && s->cluster->runtime == CONTAINERD_2);

    if (why && !silent)
        put_text(p, why);
    if (resets)
        reset_stream(p, p->error_id);
    else
        end_stream(p, p->error_id);
    task_wake(&s->work);
    pair_destroy(p);
}

static void report_later(struct pair *p, const char *why, uint32_t ms)
{
    p->state = PAIR_ENDED;
    p->well = !why;
    if (why && why != p->why)
        snprintf(p->why, sizeof(p->why), "%s", why);
    timer_set(&p->timer, ms);
    task_wake(&p->session->work);
}

/* Ends both streams: in order (NULL), with an error text, or ("") with a reset and no
 * text. `left` is the consumer of bytes that the client still sends. */
static void finish(struct pair *p, const char *why, enum consumer left)
{
    struct session *s = p->session;
    uint32_t late_ms = s->cluster->faults.verdict_ms;

    log_info(s->id, "pair ended", LOG_U("port", p->port), LOG_U("stream", p->data_id),
             LOG_S("reason", why));
    detach(p, p->data_id, left);
    if (why && !*why)
        reset_stream(p, p->data_id);
    else
        end_stream(p, p->data_id);
    if (late_ms)
        report_later(p, why, late_ms);
    else
        report(p, why);
}

/* The last read of the client's stream is still pending, unless it read the end. */
static enum consumer leftover(const struct pair *p)
{
    return p->client_ended ? CONSUMER_NONE : CONSUMER_ONE_MORE;
}

static void refuse(struct pair *p, const char *why)
{
    bool drains = p->session->cluster->runtime == CONTAINERD_2;
    finish(p, why, drains ? CONSUMER_DRAIN : CONSUMER_NONE);
}

static void refuse_connection(struct pair *p, const struct pod *pod)
{
    char text[ERROR_TEXT];
    snprintf(
        text, sizeof(text),
        "error forwarding port %u to pod %s, uid : failed to execute portforward in "
        "network namespace \"%s\": failed to connect to localhost:%u inside namespace "
        "\"%s\", IPv4: dial tcp4 127.0.0.1:%u: connect: connection refused IPv6 dial "
        "tcp6: address localhost: no suitable address found ",
        p->port, pod->sandbox, pod->netns, p->port, pod->sandbox, p->port);
    refuse(p, text);
}

static void refuse_sandbox(struct pair *p)
{
    char text[ERROR_TEXT];
    const char *sandbox = p->session->sandbox;
    snprintf(text, sizeof(text),
             "error forwarding port %u to pod %s, uid : failed to find sandbox \"%s\" in "
             "store: not found",
             p->port, sandbox, sandbox);
    refuse(p, text);
}

static void reset_text(const struct pair *p, char out[static ERROR_TEXT])
{
    const struct pod *pod = session_pod(p->session);
    snprintf(out, ERROR_TEXT,
             "error forwarding port %u to pod %s, uid : failed to execute portforward in "
             "network namespace \"%s\": read tcp4 127.0.0.1:%u->127.0.0.1:%u: read: "
             "connection reset by peer",
             p->port, p->session->sandbox, pod ? pod->netns : "",
             32768 + p->data_id % 28000, p->port);
}

static void fail_reset(struct pair *p, bool silent)
{
    if (silent)
        p->why[0] = '\0';
    else
        reset_text(p, p->why);
    p->state = PAIR_FAILED;
    if (p->session->cluster->runtime == CONTAINERD_2)
        timer_set(&p->timer, CUT_MS);
    else
        finish(p, p->why, leftover(p));
}

static enum pod_fault fault_of(const struct pair *p, const struct pod *pod)
{
    AUTO_FREE char *target = xasprintf("%s/%s:%u", pod->ns, pod->name, p->port);
    return faults_of_target(&p->session->cluster->faults, str_of(target));
}

static void dial(struct pair *p)
{
    struct cluster *c = p->session->cluster;
    struct pod *pod = session_pod(p->session);
    if (!pod) {
        refuse_sandbox(p);
        return;
    }
    enum pod_fault fault = fault_of(p, pod);
    if (fault == POD_REFUSES || pod_dial(c->pods, pod, p->port, &p->pod)) {
        refuse_connection(p, pod);
        return;
    }
    p->pod->wake = &p->work;
    p->state = PAIR_OPEN;
    timer_stop(&p->timer);
    if (fault == POD_WELL)
        task_wake(&p->work);
    else
        fail_reset(p, fault == POD_RESETS_SILENTLY);
}

static void send_data(struct pair *p)
{
    struct session *s = p->session;
    struct bufq *in = &p->pod->in;

    while (!bufq_empty(in)) {
        size_t n = in->len < FRAME_DATA ? in->len : FRAME_DATA;
        if (session_room(s) < DATA_ROOM) {
            list_remove(&p->waiting);
            list_append(&s->waiting, &p->waiting);
            return;
        }
        session_put_data(s, p->data_id, 0, in, n);
    }
}

static void ending(struct pair *p)
{
    if (p->state != PAIR_OPEN)
        return;
    p->state = PAIR_ENDING;
    timer_set(&p->timer, p->session->cluster->faults.cut_ms);
    if (p->session->cluster->faults.cut_ms == 0)
        finish(p, NULL, leftover(p));
}

/* The connection to the pod broke.  A refused connection may be noticed late, too. */
static void pod_broke(struct pair *p)
{
    bool refused = strstr(p->pod->end.why.text, "refused") != NULL;
    const struct pod *pod = session_pod(p->session);

    if (refused && pod)
        refuse_connection(p, pod);
    else if (p->pod->end.verdict == V_CLEAN)
        finish(p, NULL, leftover(p));
    else
        fail_reset(p, false);
}

static void run(struct task *task)
{
    struct pair *p = container_of(task, struct pair, work);

    if (p->state == PAIR_HALF || p->state == PAIR_FAILED || p->state == PAIR_ENDED)
        return;
    bufq_move(&p->pod->out, &p->unread);
    send_data(p);
    bool to_client_ended = p->pod->in_eof && bufq_empty(&p->pod->in);
    bool to_pod_ended =
        p->client_ended && bufq_empty(&p->unread) && bufq_empty(&p->pod->out);

    if (p->session->workers[p->data_id % WORKERS].hand)
        task_wake(&p->session->work);
    stream_update(p->pod);
    if (p->pod->broken && bufq_empty(&p->pod->in))
        pod_broke(p);
    else if (to_client_ended && to_pod_ended)
        finish(p, NULL, leftover(p));
    else if (to_client_ended || to_pod_ended)
        ending(p);
}

static void on_timer(struct timer *timer)
{
    struct pair *p = container_of(timer, struct pair, timer);
    char text[REQUEST_ID_MAX + 80];

    if (p->state == PAIR_ENDING) {
        finish(p, NULL, leftover(p));
    } else if (p->state == PAIR_FAILED) {
        finish(p, p->why, leftover(p));
    } else if (p->state == PAIR_ENDED) {
        report(p, p->well ? NULL : p->why);
    } else if (p->state == PAIR_HALF) {
        snprintf(text, sizeof(text),
                 "(conn=0xc000000000, request=%s) timed out waiting for streams",
                 p->request);
        if (p->error_id)
            put_text(p, text);
        task_wake(&p->session->work);
        pair_destroy(p);
    }
}

static struct pair *find(const struct session *s, const char *request)
{
    list_for_each (p, &s->pairs, struct pair, node)
        if (strcmp(p->request, request) == 0)
            return p;
    return NULL;
}

static struct pair *create(struct session *s, const char *request)
{
    struct pair *p = xcalloc(1, sizeof(*p));
    struct sched *sched = loop_sched(s->cluster->loop);

    p->session = s;
    snprintf(p->request, sizeof(p->request), "%s", request);
    list_init(&p->waiting);
    list_append(&s->pairs, &p->node);
    bufq_init(&p->unread, loop_pool(s->cluster->loop), SIZE_MAX);
    task_init(&p->work, sched, RANK_WORK, run);
    timer_init(&p->timer, sched, on_timer);
    timer_set(&p->timer, JOIN_MS);
    return p;
}

static bool already_assigned(struct pair *p, bool error)
{
    char text[96];
    if (!(error ? p->error_id : p->data_id))
        return false;
    snprintf(text, sizeof(text),
             "error processing stream for request %.20s: %s stream already assigned",
             p->request, error ? "error" : "data");
    if (p->error_id)
        put_text(p, text);
    return true;
}

void pair_join(struct session *s, struct spdy_stream *stream,
               const struct stream_wish *wish)
{
    struct pair *p = find(s, wish->request);
    if (!p)
        p = create(s, wish->request);
    if (already_assigned(p, wish->error)) {
        stream->consumer = CONSUMER_NONE;
        return;
    }
    stream->pair = p;
    stream->consumer = wish->error ? CONSUMER_NONE : CONSUMER_PAIR;
    if (wish->error) {
        p->error_id = stream->id;
    } else {
        p->data_id = stream->id;
        p->port = wish->port;
        p->client_ended = stream->remote_end;
    }
    if (p->error_id && p->data_id)
        dial(p);
}

bool pair_takes(struct pair *p, struct bufq *payload)
{
    if (p->state == PAIR_HALF || p->state == PAIR_FAILED || !bufq_empty(&p->unread) ||
        !bufq_empty(&p->pod->out))
        return false;
    bufq_move(&p->unread, payload);
    task_wake(&p->work);
    return true;
}

void pair_client_ended(struct pair *p, const struct spdy_stream *stream)
{
    if (stream->id != p->data_id)
        return;
    p->client_ended = true;
    task_wake(&p->work);
}

void pair_wake(struct list_node *waiting)
{
    while (!list_empty(waiting)) {
        struct pair *p = list_first(waiting, struct pair, waiting);
        list_remove(&p->waiting);
        task_wake(&p->work);
    }
}
