/* serve/raw.c - carry any TCP protocol to a pod
 *
 *      LEASE ──▶ TALK ──▶ RELAY ──▶ CLOSED
 *        ▲ │       │ │                ▲
 *        │ └───────┼─┴────────────────┘ an HTTP/1 request: to a session, with its lease
 *        └─────────┘ refused before the pod said a word: another endpoint
 *
 * The client's first bytes stay in its queue while they may become an HTTP/1 request line,
 * at most HOLD_MS (a bare word: HOLD_WORD_MS) after the last one came; the pod's go to the
 * client meanwhile.  Once the line is complete the connection is a session's, which checks
 * each request (decision 074).  Anything else is passed on at once.
 *
 * The bytes a client sends before the pod's first are kept, up to replay-buffer, because a
 * refusal comes a few milliseconds after a connection was "opened" (there is no sign that
 * it was accepted), and it proves that nothing was delivered.  After the pod's first byte
 * nothing can be taken back: a connection that then fails is reset, never closed as if it
 * had ended well.
 */
#include "serve/raw.h"

#include "base/log.h"
#include "base/own.h"
#include "cluster/clusters.h"
#include "detect/request_line.h"
#include "http/whole.h"

LOG_MODULE(serve);

#define ATTEMPTS_MAX 5
#define HOLD_MS 500        /* for the rest of what may be a request line */
#define HOLD_WORD_MS 50    /* ... after a word that may be its method */
#define WORD_MAX 64        /* longer methods are not written by any program */
#define LOGIN_HOLD_MS 1000 /* for the first byte, where none starts a login */
#define LINGER_MS 10000    /* for a client that has closed, while no byte of it moves */

#define STATES(X) /* clang-format off */ \
    X(LEASE,  lease)  /* waiting for a connection to a pod     */ \
    X(TALK,   talk)   /* the pod has not said anything yet     */ \
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
    uint64_t began;

    enum line line; /* the client's first bytes; while MORE they stay in its queue */
    struct request_line reader;
    size_t looked; /* bytes of that queue that `reader` has seen */
    struct timer hold;

    uint64_t leased_at, waited_ms; /* for leases: --wait is for all of them */
    struct lease lease;
    struct endpoint *avoid; /* a reference: it refused */
    unsigned attempts;
    struct bufq held; /* what the client sent before the pod's first byte */
    uint64_t said;    /* bytes the client sent before the pod's first */
    bool holding;     /* ... and `held` is all of it */
    bool handed_over; /* the client and the lease are a session's */
    bool held_long;   /* `hold` has fired: unless more has come, the wait is over */
    bool login;       /* there is no lease: a person has to log in first */
    bool clean;       /* both sides said all they had to say */
    struct relay relay;
    struct peer_watch peer; /* from the end of the client's input on */
    struct timer linger;    /* for what a client said before it went */
    uint64_t linger_until;  /* 0: not yet */
    uint64_t lingered;      /* bytes it had said when that was set */
};

#define X(NAME, name) static enum raw_state in_##name(struct raw *r);
STATES(X)
#undef X

static const struct {
    const char *name;
    enum raw_state (*run)(struct raw *r);
} states[] = {
#define X(NAME, name) [RAW_##NAME] = { #name, in_##name },
    STATES(X)
#undef X
};

static const struct route *route_of(const struct raw *r)
{
    return &r->from.exposed->route;
}

/* Behind any connection there may be a web page, also before it has sent a byte: none starts
 * a plugin that asks at the terminal.  A session asks again, of an HTTP request. */
static bool needs_login(struct raw *r)
{
    r->login =
        clusters_need_login(r->serve->clusters, route_of(r)->name.cluster, &r->lease.why);
    if (r->login)
        timer_set(&r->hold, LOGIN_HOLD_MS);
    return r->login;
}

static void ask_for_lease(struct raw *r)
{
    const struct config *c = r->serve->config;
    bool wait = c->wait_ms > r->waited_ms;
    struct want want = {
        .route = route_of(r),
        .client = str_of(r->from.address),
        .proto = PROTO_RAW,
        .repeatable = r->holding,
        .alone = true,
        .avoid = r->avoid,
        .attempt = r->attempts,
        .wait_until = r->task.sched->now + (wait ? c->wait_ms - r->waited_ms : 0),
        .id = r->id,
    };
    r->leased_at = r->task.sched->now;
    if (needs_login(r))
        return;
    r->attempts++;
    serve_lease(r->serve, &want, &r->lease, &r->task);
    r->id.cluster = want.id.cluster;
}

static enum raw_state give_up(struct raw *r, enum err e, const struct diag *why)
{
    log_warn(r->id, "connection failed", LOG_S("client", r->from.address),
             LOG_V("service", route_of(r)->name.service),
             LOG_V("namespace", route_of(r)->name.ns),
             LOG_S("reason", diag_text(why, e)));
    return RAW_CLOSED;
}

/* All of it, to the next pod: replay-buffer is its bound. */
static void say_again(struct raw *r)
{
    struct bufq *to = &r->lease.stream->out;
    size_t limit = whole_begin(to);

    for (size_t at = 0; at < r->held.len;) {
        char part[4096];
        size_t n = bufq_copy(&r->held, at, part, sizeof(part));
        bufq_write(to, part, n);
        at += n;
    }
    whole_end(to, limit);
    stream_update(r->lease.stream);
}

/* What no pod would accept as a request line either is left to the session to refuse: its
 * end may be one. */
static bool is_too_long(const struct raw *r)
{
    return bufq_full(&r->client->in) || r->looked >= r->serve->config->max_head_size;
}

/* No browser sends a method alone, so a word that waits for an answer is another protocol's. */
static uint64_t hold_ms(const struct raw *r)
{
    bool word = r->looked <= WORD_MAX && request_line_is_word(&r->reader);
    return word ? HOLD_WORD_MS : HOLD_MS;
}

/* Read on in the client's first bytes.  Is the connection HTTP/1? */
static bool is_http(struct raw *r)
{
    size_t seen = r->looked, n = 1;

    while (r->line == LINE_MORE && n) {
        uint8_t part[512];
        n = bufq_copy(&r->client->in, r->looked, part, sizeof(part));
        r->line = request_line_feed(&r->reader, part, n);
        r->looked += n;
    }
    bool more_came = r->looked != seen;
    if (r->line == LINE_MORE && is_too_long(r))
        r->line = LINE_HTTP1;
    else if (r->line == LINE_MORE && (r->client->in_eof || (r->held_long && !more_came)))
        r->line = LINE_OTHER;
    else if (r->line == LINE_MORE && more_came)
        timer_set(&r->hold, hold_ms(r));
    r->held_long = false;
    return r->line == LINE_HTTP1;
}

/* The pod has been sent nothing yet, so the stream that was leased at the beginning serves
 * the first request. */
static enum raw_state hand_over(struct raw *r)
{
    peer_watch_stop(&r->peer);
    r->handed_over = true;
    session_open_exposed(r->serve, TAKE(r->client), &r->from, r->id, &r->lease,
                         r->attempts);
    return RAW_CLOSED;
}

static enum raw_state refuse_login(struct raw *r)
{
    return give_up(r,
                   diag_prefix(&r->lease.why, ERR_CREDENTIALS,
                               "log in first, by an HTTP request or at /login/"),
                   &r->lease.why);
}

static enum raw_state lease_again(struct raw *r)
{
    serve_return(&r->lease, RELEASE_ABORT);
    r->attempts--;
    ask_for_lease(r);
    return RAW_LEASE;
}

static enum raw_state in_lease(struct raw *r)
{
    if (is_http(r))
        return hand_over(r);
    if (r->login)
        return r->line == LINE_MORE ? RAW_LEASE : refuse_login(r);
    if (r->lease.result == ERR_AGAIN)
        return RAW_LEASE;
    r->waited_ms += r->task.sched->now - r->leased_at;
    if (serve_was_replaced(&r->lease))
        return lease_again(r);
    if (r->lease.result)
        return give_up(r, r->lease.result, &r->lease.why);
    say_again(r);
    return RAW_TALK;
}

/* Move what the client says, and keep a copy while it fits. */
static void say(struct raw *r)
{
    struct bufq *from = &r->client->in, *to = &r->lease.stream->out;
    size_t n = from->len < bufq_room(to) ? from->len : bufq_room(to);

    if (n > bufq_room(&r->held) || chunk_pool_is_tight(r->held.pool)) {
        r->holding = false;
        bufq_clear(&r->held);
    }
    for (size_t at = 0; r->holding && at < n;) {
        char part[4096];
        size_t want = n - at < sizeof(part) ? n - at : sizeof(part);
        at += bufq_write(&r->held, part, bufq_copy(from, at, part, want));
    }
    r->said += bufq_move_n(to, from, n);
    r->client->paused = r->lease.stream->stuck;
    stream_update(r->client);
    stream_update(r->lease.stream);
}

static bool was_never_delivered(const struct raw *r)
{
    enum verdict v = r->lease.stream->end.verdict;
    return (v == V_REFUSED || v == V_TARGET_GONE) && r->holding &&
           r->attempts < ATTEMPTS_MAX;
}

static enum raw_state try_another(struct raw *r)
{
    endpoint_unref(r->avoid);
    r->avoid = endpoint_ref(r->lease.endpoint);
    serve_return(&r->lease, RELEASE_ABORT);
    ask_for_lease(r);
    return RAW_LEASE;
}

static enum raw_state in_talk(struct raw *r)
{
    struct stream *pod = r->lease.stream;

    if (is_http(r))
        return hand_over(r);
    if (pod->end.verdict != V_OPEN && pod->broken && bufq_empty(&pod->in))
        return was_never_delivered(r) ? try_another(r)
                                      : give_up(r, ERR_RESET, &pod->end.why);
    if (bufq_empty(&pod->in) && !pod->in_eof && !r->client->in_eof) {
        if (r->line == LINE_OTHER)
            say(r);
        return RAW_TALK;
    }
    bufq_clear(&r->held);
    relay_start(&r->relay, r->client, pod, r->serve->config->half_close, &r->task);
    return RAW_RELAY;
}

/* No HTTP server speaks first, so there is no session that could go on from here. */
static enum raw_state refuse_http(struct raw *r)
{
    struct diag why = { 0 };
    enum err e =
        diag_set(&why, ERR_PROTO, "an HTTP request to a server that sent data first");
    return give_up(r, e, &why);
}

static enum raw_state in_relay(struct raw *r)
{
    if (r->line == LINE_MORE && is_http(r))
        return refuse_http(r);
    r->relay.hold_up = r->line == LINE_MORE;
    relay_run(&r->relay);
    if (!relay_done(&r->relay))
        return RAW_RELAY;
    r->clean = relay_clean(&r->relay);
    return RAW_CLOSED;
}

static enum raw_state in_closed(struct raw *r)
{
    (void)r;
    return RAW_CLOSED;
}

/* A client that is done, with a pod that has nothing more under way, ends in an orderly
 * manner also when the pod would have gone on listening: its tunnel serves again. */
static enum release_mode release_of(const struct raw *r)
{
    const struct stream *pod = r->lease.stream;
    bool quiet = pod && pod->end.verdict == V_OPEN && bufq_empty(&pod->in) &&
                 bufq_empty(&pod->out);
    return r->clean || (r->client->in_eof && quiet) ? RELEASE_CLOSE : RELEASE_ABORT;
}

static void end_connection(struct raw *r)
{
    if (r->lease.endpoint)
        log_info(r->id, "connection closed", LOG_S("client", r->from.address),
                 LOG_S("pod", r->lease.endpoint->pod), LOG_ID("tunnel", r->lease.via),
                 LOG_U("in", r->said + r->relay.up), LOG_U("out", r->relay.down),
                 LOG_U("ms", r->task.sched->now - r->began));
    account_raw(r->id.cluster, r->said + r->relay.up, r->relay.down);
    relay_finish(&r->relay);
    peer_watch_stop(&r->peer);
    serve_return(&r->lease, release_of(r));
    if (r->clean)
        stream_close(TAKE(r->client));
    else
        stream_abort(TAKE(r->client));
}

static void release(struct raw *r)
{
    if (!r->handed_over)
        end_connection(r);
    timer_stop(&r->hold);
    timer_stop(&r->linger);
    endpoint_unref(TAKE(r->avoid));
    bufq_finish(&r->held);
    task_wake(&r->task);
}

/* The only road from one state to another. */
static void enter(struct raw *r, enum raw_state next)
{
    log_debug(r->id, "raw", LOG_S("from", states[r->state].name),
              LOG_S("to", states[next].name));
    r->state = next;
    if (next == RAW_CLOSED)
        release(r);
}

static void raw_free(struct raw *r)
{
    task_cancel(&r->task);
    holder_finish(&r->holder);
    list_remove(&r->member);
    session_count(-1);
    serve_on_session_gone(r->serve, &r->from);
    exposed_unref(r->from.exposed);
    free(r);
}

static bool has_said_all(const struct raw *r)
{
    const struct stream *pod = r->lease.stream;
    bool handed_on = pod ? bufq_empty(&pod->out) : r->said == 0;
    return r->client->in_eof && bufq_empty(&r->client->in) && handed_on;
}

/* Who said something and went: the pod gets it, as long as it goes on taking it. */
static bool lingers(struct raw *r)
{
    uint64_t said = r->said + r->relay.up;

    if (r->peer.reset || has_said_all(r))
        return false;
    if (!r->linger_until || said != r->lingered) {
        r->lingered = said;
        r->linger_until = r->task.sched->now + LINGER_MS;
        timer_set_at(&r->linger, r->linger_until);
    }
    return r->task.sched->now < r->linger_until;
}

/* A client that will send no more may still wait for the rest, or be gone; and one that is
 * not read from could go without anybody seeing it. */
static bool is_abandoned(struct raw *r)
{
    if (r->client->in_eof || r->client->paused || bufq_full(&r->client->in))
        peer_watch_start(&r->peer, r->client, &r->task);
    return r->client->broken || (r->peer.gone && !lingers(r));
}

static void on_linger(struct timer *timer)
{
    task_wake(&container_of(timer, struct raw, linger)->task);
}

static void note_waiting(struct raw *r)
{
    const struct stream *client = r->client, *pod = r->lease.stream;
    size_t out = client->out.len + (pod ? pod->out.len : 0);
    size_t in = client->in.len + r->held.len + (pod ? pod->in.len : 0);

    holder_wait(&r->holder, false, out + in, r->said + r->relay.up + r->relay.down - out);
}

static bool raw_give_way(struct holder *h, enum holding what)
{
    struct raw *r = container_of(h, struct raw, holder);

    (void)what;
    log_info(r->id, "closed to make room for others", LOG_S("client", r->from.address),
             LOG_U("stalled_ms", r->task.sched->now - h->since));
    enter(r, RAW_CLOSED);
    return true;
}

static void on_hold(struct timer *timer)
{
    struct raw *r = container_of(timer, struct raw, hold);

    r->held_long = true;
    task_wake(&r->task);
}

static void on_wake(struct task *t)
{
    struct raw *r = container_of(t, struct raw, task);

    while (r->state != RAW_CLOSED) {
        enum raw_state next = is_abandoned(r) ? RAW_CLOSED : states[r->state].run(r);
        if (next != r->state)
            enter(r, next);
        else if (!is_abandoned(r)) { /* it may have been paused just now */
            note_waiting(r);
            return;
        }
    }
    raw_free(r);
}

void raw_open(struct serve *serve, struct stream *client, const struct visitor *from)
{
    struct raw *r = xcalloc(1, sizeof(*r));

    r->serve = serve;
    r->client = client;
    r->from = *from;
    exposed_ref(r->from.exposed);
    r->line = from->exposed->raw ? LINE_OTHER : LINE_MORE;
    r->id = (struct log_id){ .kind = 's', .number = ++serve->next_number };
    r->began = serve->sched->now;
    r->holding = true;
    task_init(&r->task, serve->sched, RANK_WORK, on_wake);
    timer_init(&r->linger, serve->sched, on_linger);
    timer_init(&r->hold, serve->sched, on_hold);
    session_count(1);
    bufq_init(&r->held, serve->pool, serve->config->replay_buffer);
    holder_init(&r->holder, &serve->pressure, r->from.account, raw_give_way);
    list_append(&serve->raws, &r->member);
    client->wake = &r->task;
    log_debug(r->id, "connected", LOG_S("client", from->address),
              LOG_U("listener", from->listener_port));
    ask_for_lease(r);
    task_wake(&r->task);
}

void raw_kill(struct list_node *member)
{
    struct raw *r = container_of(member, struct raw, member);
    if (r->state != RAW_CLOSED)
        enter(r, RAW_CLOSED);
}

void raw_destroy(struct list_node *member)
{
    raw_kill(member);
    raw_free(container_of(member, struct raw, member));
}
