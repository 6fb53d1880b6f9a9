/* serve/raw.c - carry any TCP protocol to a pod
 *
 *      LEASE ──▶ TALK ──▶ RELAY ──▶ CLOSED
 *        ▲ │       │ │                ▲
 *        │ └───────┼─┴────────────────┘ an HTTP/1 request: to a session, with its lease
 *        └─────────┘ refused before a byte came from the pod: another endpoint
 *
 * The client's first bytes stay in its queue while they may become an HTTP/1 request line
 * (serve/first_line.h); the pod's go to the client meanwhile.  Once the line is complete the
 * connection is a session's, which checks each request (decision 074).  Anything else is passed
 * on at once.
 *
 * The bytes a client sends before the pod's first are kept, up to replay-buffer, because a
 * refusal comes a few milliseconds after a connection was "opened" (there is no sign that
 * it was accepted), and it proves that nothing was delivered.  After the pod's first byte
 * nothing can be sent again: a connection that then fails is reset, never closed as if it
 * had ended well.
 *
 * A client of a proxy sends its first bytes after the reply to its request, which is due
 * until there is a lease.
 */
#include "serve/raw.h"

#include "base/log.h"
#include "base/own.h"
#include "catalog/service.h"
#include "cluster/clusters.h"
#include "detect/detect.h"
#include "http/whole.h"
#include "relay/relay.h"
#include "relay/retry_buffer.h"
#include "serve/accounting.h"
#include "serve/attempts.h"
#include "serve/client_status.h"
#include "serve/departure.h"
#include "serve/first_line.h"
#include "serve/handover.h"
#include "serve/observation.h"
#include "serve/plain_server.h"
#include "serve/serve_state.h"

LOG_MODULE(serve);

#define LOGIN_HOLD_MS 1000 /* for the first byte, where none starts a login */

#define STATES(X) /* clang-format off */ \
    X(LEASE,  lease)  /* waiting for a connection to a pod     */ \
    X(TALK,   talk)   /* no byte has come from the pod yet     */ \
    X(RELAY,  relay)  /* bytes both ways                       */ \
    X(CLOSED, closed) /* the memory goes when the task has run */
/* clang-format on */

enum raw_state {
#define X(NAME, name) RAW_##NAME,
    STATES(X)
#undef X
};

struct raw {
    struct serve *serve;
    struct list_node member; /* of the serve's raw sessions */
    struct task task;
    enum raw_state state;

    struct stream *client; /* owned */
    struct log_id id;
    struct visitor from;
    struct holder holder;
    uint64_t began, answered_at; /* sched ms; 0: not yet */
    enum err failed;             /* why there is no connection to a pod */

    struct first_line first; /* while it is LINE_MORE, nothing is taken from the client */
    struct attempts attempts;
    struct retry_buffer retry; /* what the client sent before the pod's first byte */
    uint64_t sent;             /* bytes of it that were passed on */
    bool handed_over;          /* the client is a session's */
    enum proxy_client due;     /* the reply that the client of a proxy still waits for */
    bool login;                /* there is no lease: a person has to log in first */
    bool clean;                /* both sides have ended in order */
    struct relay relay;
    struct departure departure;
};

#define X(NAME, name) static enum raw_state raw_in_##name(struct raw *r);
STATES(X)
#undef X

static const struct {
    const char *name;
    enum raw_state (*run)(struct raw *r);
} states[] = {
#define X(NAME, name) [RAW_##NAME] = { #name, raw_in_##name },
    STATES(X)
#undef X
};

static void report_end(const struct raw *r);

static const struct route *route_of(const struct raw *r)
{
    return &r->from.exposed->route;
}

/* Behind any connection there may be a web page, also before it has sent a byte: none starts
 * a plugin that prompts at the terminal.  A session checks again, for an HTTP request. */
static bool needs_login(struct raw *r)
{
    if (route_of(r)->name.kind == NAME_OUTSIDE)
        return false;
    r->login = clusters_need_login(r->serve->clusters, route_of(r)->name.cluster,
                                   &r->attempts.lease.why);
    if (r->login)
        first_line_wait(&r->first, LOGIN_HOLD_MS);
    return r->login;
}

static void raw_lease(struct raw *r)
{
    struct want want = {
        .route = route_of(r),
        .client = str_of(r->from.address),
        .proto = PROTO_RAW,
        .repeatable = r->retry.complete,
        .alone = true,
        .id = r->id,
    };

    if (needs_login(r))
        return;
    attempts_lease(&r->attempts, r->serve, &want, &r->task);
    r->id.cluster = want.id.cluster;
}

static enum raw_state raw_give_up(struct raw *r, enum err e, const struct diag *why)
{
    log_warn(r->id, "connection failed", LOG_S("client", r->from.address),
             LOG_V("service", route_of(r)->name.service),
             LOG_V("namespace", route_of(r)->name.ns),
             LOG_S("reason", diag_text(why, e)));
    r->failed = e;
    return RAW_CLOSED;
}

/* All of it, to the next pod: replay-buffer is its bound. */
static void send_again(struct raw *r)
{
    struct stream *pod = r->attempts.lease.stream;
    size_t limit = whole_begin(&pod->out);

    retry_buffer_rewind(&r->retry);
    retry_buffer_replay(&r->retry, &pod->out);
    whole_end(&pod->out, limit);
    stream_update(pod);
}

static bool is_http(struct raw *r)
{
    return first_line_is_http(&r->first, r->client, r->serve->config->max_head_size);
}

/* Nothing was sent to the pod yet, so the first request can use the lease. */
static enum raw_state hand_over(struct raw *r)
{
    r->handed_over = true;
    r->serve->handover->to_session(r->serve, TAKE(r->client), &r->from, r->id,
                                   &r->attempts);
    return RAW_CLOSED;
}

/* The session sends the reply and ends the connection. */
static enum raw_state refuse_proxied(struct raw *r, enum err e)
{
    struct refusal why;

    r->attempts.lease.result = e;
    raw_give_up(r, e, &r->attempts.lease.why);
    report_end(r);
    refusal_of_lease(&r->attempts.lease, route_of(r), &why);
    proxy_refuse(r->due, why.cause, &r->client->out);
    attempts_return(&r->attempts, RELEASE_ABORT);
    r->handed_over = true;
    r->serve->handover->to_ending(r->serve, TAKE(r->client), &r->from, r->id);
    return RAW_CLOSED;
}

/* TLS of the client ends here, whose ClientHello is still in its queue. */
static enum raw_state terminate(struct raw *r)
{
    struct visitor from = r->from;
    struct str host = str_of(r->from.exposed->proxied);

    from.exposed = NULL;
    attempts_return(&r->attempts, RELEASE_ABORT);
    r->handed_over = true;
    r->serve->handover->to_terminated(r->serve, TAKE(r->client), &from, r->id, host);
    return RAW_CLOSED;
}

static void accept_proxied(struct raw *r)
{
    proxy_accept(r->due, &r->client->out);
    r->due = PROXY_NONE;
    stream_update(r->client);
}

/* Of a SOCKS client. */
static enum raw_state expect_hello(struct raw *r)
{
    struct visitor from = r->from;

    from.exposed = NULL;
    accept_proxied(r);
    attempts_return(&r->attempts, RELEASE_ABORT);
    r->handed_over = true;
    r->serve->handover->to_hello(r->serve, TAKE(r->client), &from, r->id);
    return RAW_CLOSED;
}

static enum raw_state refuse_login(struct raw *r)
{
    return raw_give_up(r,
                       diag_prefix(&r->attempts.lease.why, ERR_CREDENTIALS,
                                   "log in first, by an HTTP request or at /login/"),
                       &r->attempts.lease.why);
}

static enum raw_state raw_in_lease(struct raw *r)
{
    if (!r->due && is_http(r))
        return hand_over(r);
    if (r->login && r->due)
        return refuse_proxied(r, ERR_CREDENTIALS);
    if (r->login)
        return r->first.is == LINE_MORE ? RAW_LEASE : refuse_login(r);
    if (r->attempts.lease.result == ERR_AGAIN)
        return RAW_LEASE;
    if (attempts_must_lease_again(&r->attempts, r->task.sched->now)) {
        raw_lease(r);
        return RAW_LEASE;
    }
    if (r->due && serve_may_end_tls(r->serve, route_of(r), r->attempts.lease.result))
        return r->due == PROXY_TLS ? terminate(r) : expect_hello(r);
    if (r->attempts.lease.result && r->due)
        return refuse_proxied(r, r->attempts.lease.result);
    if (r->attempts.lease.result)
        return raw_give_up(r, r->attempts.lease.result, &r->attempts.lease.why);
    if (r->attempts.lease.outside) /* no page is kept from it */
        r->first.is = LINE_OTHER;
    if (r->due)
        accept_proxied(r);
    send_again(r);
    return RAW_TALK;
}

/* Move what the client sent, and keep a copy while it fits. */
static void send_first(struct raw *r)
{
    struct stream *pod = r->attempts.lease.stream;
    struct bufq *from = &r->client->in, *to = &pod->out;
    size_t n = from->len < bufq_room(to) ? from->len : bufq_room(to);

    retry_buffer_keep(&r->retry, from, n);
    r->sent += bufq_move_n(to, from, n);
    r->client->paused = pod->stuck;
    stream_update(r->client);
    stream_update(pod);
}

static bool may_try_another(const struct raw *r)
{
    enum verdict verdict = r->attempts.lease.stream->end.verdict;

    return r->retry.complete &&
           attempts_may_repeat(&r->attempts, attempts_may_have_delivered(verdict), false,
                               r->serve->sched->now);
}

static enum raw_state try_another(struct raw *r)
{
    attempts_fail(&r->attempts);
    raw_lease(r);
    return RAW_LEASE;
}

/* The client's first bytes are still kept for another attempt. */
static bool client_speaks_tls(const struct raw *r)
{
    uint8_t first[DETECT_MAX];
    size_t n = bufq_copy(&r->retry.held, 0, first, sizeof(first));

    return route_of(r)->tls || detect(first, n) == DETECT_TLS;
}

/* A server of HTTP/2 sends SETTINGS at once, and its client does not wait for them (RFC 9113,
 * section 3.4).  So they wait for the client, which may send a request of HTTP/1. */
static bool waits_for_client(const struct raw *r, const struct stream *pod)
{
    uint8_t first[DETECT_SERVER_MAX];

    if (r->first.is != LINE_MORE || r->client->in_eof || pod->end.verdict != V_OPEN)
        return false;
    size_t n = bufq_copy(&pod->in, 0, first, sizeof(first));
    return detect_server(first, n) == DETECT_HTTP2;
}

static enum raw_state raw_in_talk(struct raw *r)
{
    struct stream *pod = r->attempts.lease.stream;

    if (is_http(r))
        return hand_over(r);
    if (pod->end.verdict != V_OPEN && pod->broken && bufq_empty(&pod->in))
        return may_try_another(r) ? try_another(r)
                                  : raw_give_up(r, ERR_RESET, &pod->end.why);
    if (waits_for_client(r, pod))
        return RAW_TALK;
    if (bufq_empty(&pod->in) && !pod->in_eof && !r->client->in_eof) {
        if (r->first.is == LINE_OTHER)
            send_first(r);
        return RAW_TALK;
    }
    if (r->attempts.lease.endpoint && client_speaks_tls(r))
        plain_server_look(&r->from, r->id, &r->attempts.lease);
    retry_buffer_stop(&r->retry);
    r->answered_at = r->task.sched->now;
    relay_start(&r->relay, r->client, pod, r->serve->config->half_close, &r->task);
    return RAW_RELAY;
}

/* No HTTP server sends first, so there is no session that could go on from here. */
static enum raw_state refuse_http(struct raw *r)
{
    struct diag why = { 0 };
    enum err e =
        diag_set(&why, ERR_PROTO, "an HTTP request to a server that sent data first");
    return raw_give_up(r, e, &why);
}

static enum raw_state raw_in_relay(struct raw *r)
{
    if (r->first.is == LINE_MORE && is_http(r))
        return refuse_http(r);
    r->relay.hold_up = r->first.is == LINE_MORE;
    relay_run(&r->relay);
    if (!relay_done(&r->relay))
        return RAW_RELAY;
    r->clean = relay_clean(&r->relay);
    return RAW_CLOSED;
}

static enum raw_state raw_in_closed(struct raw *r)
{
    (void)r;
    return RAW_CLOSED;
}

/* When the client has ended and no byte of the pod is under way, the stream is closed in
 * order although the pod has not ended: its tunnel can be used again. */
static enum release_mode release_mode_of(const struct raw *r)
{
    const struct stream *pod = r->attempts.lease.stream;
    bool quiet = pod && !pod->broken && bufq_empty(&pod->in) && bufq_empty(&pod->out);
    return r->clean || (r->client->in_eof && quiet) ? RELEASE_CLOSE : RELEASE_ABORT;
}

static const char *host_of(const struct raw *r)
{
    const struct exposed *to = r->from.exposed;
    return to->proxied ? to->proxied : to->route.name.text;
}

static enum connection_end end_of(const struct raw *r)
{
    const struct stream *pod = r->attempts.lease.stream;

    if (r->failed)
        return END_FAILED;
    if (r->clean)
        return END_CLOSED;
    return pod && pod->broken ? END_RESET : END_LEFT;
}

static const char *reason_of(const struct raw *r, enum connection_end end)
{
    const struct lease *l = &r->attempts.lease;

    if (end == END_FAILED)
        return l->result ? diag_text(&l->why, r->failed) : err_text(r->failed);
    return end == END_RESET ? diag_text(&l->stream->end.why, ERR_RESET) : NULL;
}

static void report_end(const struct raw *r)
{
    const struct observer *to = r->serve->observer;
    const struct lease *l = &r->attempts.lease;
    const struct milestones at = { r->began, r->began, r->answered_at,
                                   r->task.sched->now };
    enum connection_end end = end_of(r);
    const struct connection_event e = {
        .id = r->id,
        .client = r->from.address,
        .name = &route_of(r)->name,
        .host = str_of(host_of(r)),
        .endpoint = l->endpoint,
        .pod_port = l->port,
        .via = l->via,
        .attempts = r->attempts.count,
        .end = end,
        .reason = reason_of(r, end),
        .bytes_in = r->sent + r->relay.up,
        .bytes_out = r->relay.down,
        .times = times_between(&at, l),
    };

    if (to)
        to->on_connection(to->owner, &e);
}

static void end_connection(struct raw *r)
{
    const char *host = host_of(r);
    const struct lease *lease = &r->attempts.lease;

    if (lease->endpoint || lease->outside)
        log_info(r->id, "connection closed", LOG_S("client", r->from.address),
                 LOG_S("pod", lease->endpoint ? lease->endpoint->pod : ""),
                 LOG_ID(lease_via_key(lease), lease->via),
                 LOG_U("in", r->sent + r->relay.up), LOG_U("out", r->relay.down),
                 LOG_U("ms", r->task.sched->now - r->began), LOG_S("host", host));
    accounting_raw(r->id.cluster, r->sent + r->relay.up, r->relay.down);
    report_end(r);
    relay_finish(&r->relay);
    attempts_return(&r->attempts, release_mode_of(r));
    if (r->clean)
        stream_close(TAKE(r->client));
    else
        stream_abort(TAKE(r->client));
}

static void raw_release(struct raw *r)
{
    if (!r->handed_over)
        end_connection(r);
    departure_stop(&r->departure);
    first_line_stop(&r->first);
    attempts_clear(&r->attempts);
    retry_buffer_finish(&r->retry);
    task_wake(&r->task);
}

/* The only road from one state to another. */
static void raw_enter(struct raw *r, enum raw_state next)
{
    log_debug(r->id, "raw", LOG_S("from", states[r->state].name),
              LOG_S("to", states[next].name));
    r->state = next;
    if (next == RAW_CLOSED)
        raw_release(r);
}

static void raw_free(struct raw *r)
{
    task_cancel(&r->task);
    holder_finish(&r->holder);
    list_remove(&r->member);
    serve_client_left(r->serve, &r->from);
    exposed_unref(r->from.exposed);
    free(r);
}

static bool has_sent_all(const struct raw *r)
{
    const struct stream *pod = r->attempts.lease.stream;
    bool handed_on = pod ? bufq_empty(&pod->out) : r->sent == 0;
    return r->client->in_eof && bufq_empty(&r->client->in) && handed_on;
}

static bool raw_is_abandoned(struct raw *r)
{
    bool gone = departure_check(&r->departure, r->client);

    if (r->client->broken || !gone)
        return r->client->broken;
    return has_sent_all(r) || !departure_lingers(&r->departure, r->sent + r->relay.up);
}

static void raw_note_waiting(struct raw *r)
{
    const struct stream *client = r->client, *pod = r->attempts.lease.stream;
    size_t out = client->out.len + (pod ? pod->out.len : 0);
    size_t in = client->in.len + r->retry.held.len + (pod ? pod->in.len : 0);

    holder_wait(&r->holder, false, out + in, r->sent + r->relay.up + r->relay.down - out);
}

static bool raw_give_way(struct holder *h, enum holding what)
{
    struct raw *r = container_of(h, struct raw, holder);

    (void)what;
    log_info(r->id, "closed to make room for others", LOG_S("client", r->from.address),
             LOG_U("stalled_ms", r->task.sched->now - h->since));
    raw_enter(r, RAW_CLOSED);
    return true;
}

static void raw_on_wake(struct task *t)
{
    struct raw *r = container_of(t, struct raw, task);

    while (r->state != RAW_CLOSED) {
        enum raw_state next = raw_is_abandoned(r) ? RAW_CLOSED : states[r->state].run(r);
        if (next != r->state)
            raw_enter(r, next);
        else if (!raw_is_abandoned(r)) { /* it may have been paused just now */
            raw_note_waiting(r);
            return;
        }
    }
    raw_free(r);
}

static struct raw *raw_create(struct serve *serve, struct stream *client,
                              const struct visitor *from, struct log_id id)
{
    struct raw *r = xcalloc(1, sizeof(*r));

    r->serve = serve;
    r->client = client;
    r->from = *from;
    exposed_ref(r->from.exposed);
    r->id = id;
    r->began = serve->sched->now;
    task_init(&r->task, serve->sched, RANK_WORK, raw_on_wake);
    departure_init(&r->departure, serve->sched, &r->task);
    first_line_init(&r->first, serve->sched, &r->task);
    if (from->exposed->raw)
        r->first.is = LINE_OTHER;
    serve_client_came(serve);
    retry_buffer_init(&r->retry, serve->pool);
    retry_buffer_start(&r->retry, serve->config->replay_buffer);
    holder_init(&r->holder, &serve->pressure, r->from.account, raw_give_way);
    list_append(&serve->raws, &r->member);
    client->wake = &r->task;
    task_wake(&r->task);
    return r;
}

void raw_open(struct serve *serve, struct stream *client, const struct visitor *from)
{
    struct log_id id = { .kind = 's', .number = ++serve->next_number };
    struct raw *r = raw_create(serve, client, from, id);

    log_debug(r->id, "connected", LOG_S("client", from->address),
              LOG_U("listener", from->listener_port));
    raw_lease(r);
}

void raw_open_proxied(struct serve *serve, struct stream *client,
                      const struct visitor *from, struct log_id id, enum proxy_client due)
{
    struct raw *r = raw_create(serve, client, from, id);

    r->due = due;
    raw_lease(r);
}

void raw_open_leased(struct serve *serve, struct stream *client,
                     const struct visitor *from, struct log_id id,
                     struct attempts *attempts)
{
    struct raw *r = raw_create(serve, client, from, id);

    attempts_adopt(&r->attempts, attempts, str_of(r->from.address), &r->task);
    r->attempts.adopted = false; /* it is in use */
}

void raw_kill(struct list_node *member)
{
    struct raw *r = container_of(member, struct raw, member);
    if (r->state != RAW_CLOSED)
        raw_enter(r, RAW_CLOSED);
}

void raw_close_denied(struct list_node *member)
{
    struct raw *r = container_of(member, struct raw, member);

    if (r->state == RAW_CLOSED ||
        !attempts_reach_closed(&r->attempts, r->serve, &route_of(r)->name))
        return;
    log_info(r->id, "closed: its namespace is closed now",
             LOG_S("client", r->from.address));
    raw_kill(member);
}

const struct visitor *raw_visitor(const struct list_node *member)
{
    return &container_of(member, const struct raw, member)->from;
}

void raw_destroy(struct list_node *member)
{
    raw_kill(member);
    raw_free(container_of(member, struct raw, member));
}

bool raw_status(const struct list_node *member, struct client_status *ret)
{
    const struct raw *r = container_of(member, const struct raw, member);
    const struct endpoint *e = r->attempts.lease.endpoint;

    *ret = (struct client_status){
        .id = r->id,
        .address = r->from.address,
        .protocol = "raw",
        .state = states[r->state].name,
        .listener = r->from.listener_port,
        .ns = e ? e->ns : NULL,
        .pod = e ? e->pod : NULL,
        .host = str_of(route_of(r)->name.text),
    };
    return r->state != RAW_CLOSED;
}
