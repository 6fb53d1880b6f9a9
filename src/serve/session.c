/* serve/session.c - one client's connection, from its first byte to its last
 *
 * THEORY OF OPERATION
 *
 *      GREET ──▶ IDLE ◀──▶ EXCHANGE      One request after the other: the next one of a
 *        │        │           │          pipeline waits in the client's queue.
 *        ├────────┼─▶ SOCKS   │          After CONNECT or SOCKS the client is handed to a
 *        │        │     │     │          raw connection.
 *        ├────────┼─▶ STREAMS │          HTTP/2: serve/streams.h.
 *        └────────┼───────────┘
 *                 ▼
 *               FLUSH ──▶ LINGER ──▶ CLOSED
 *
 * A session owns its stream, and between requests nothing else: an idle one costs less
 * than a KiB.  While an exchange runs, the stream's wake is the exchange's.
 *
 * Closing takes two steps, because the kernel resets a connection that is closed with
 * bytes unread, or that more bytes come for, and a reset destroys what the client has not
 * read yet: FLUSH waits until all is sent, LINGER for the client to see the end and stop.
 * A client that has sent nothing more and reads its response at once needs no LINGER.
 */
#include "serve/session.h"

#include "base/metrics.h"
#include "base/log.h"
#include "catalog/service.h"
#include "cluster/clusters.h"
#include "base/own.h"
#include "detect/detect.h"
#include "serve/client_side.h"
#include "serve/client_status.h"
#include "serve/early_refusal.h"
#include "serve/exchange.h"
#include "serve/handover.h"
#include "serve/serve_state.h"
#include "serve/socks_client.h"
#include "serve/tls_client.h"
#include "serve/streams.h"

LOG_MODULE(serve);

#define LINGER_MS 2000
#define BLANK_LINES_MAX 4

static uint64_t idle_ms(const struct config *c)
{
    return c->client_idle_timeout_ms;
}

static uint64_t session_head_ms(const struct config *c)
{
    return c->head_timeout_ms;
}

static uint64_t linger_ms(const struct config *c)
{
    (void)c;
    return LINGER_MS;
}

static uint64_t no_ms(const struct config *c)
{
    (void)c;
    return 0;
}

/* State, deadline, and the state to be in when it passes. */
#define STATES(X) /* clang-format off */ \
    X(GREET,    greet,    session_head_ms,   FLUSH)  /* the first bytes, which show the protocol */ \
    X(SOCKS,    socks,    session_head_ms,   FLUSH)  /* the request of a SOCKS client            */ \
    X(HELLO,    hello,    session_head_ms,   FLUSH)  /* the ClientHello of a TLS client          */ \
    X(IDLE,     idle,     idle_ms,   FLUSH)  /* no byte of a request has come            */ \
    X(EXCHANGE, exchange, no_ms,     CLOSED) /* one runs, and has its own deadlines      */ \
    X(STREAMS,  streams,  idle_ms,   FLUSH)  /* HTTP/2: many run; limited while none does */ \
    X(FLUSH,    flush,    no_ms,     CLOSED) /* the last bytes go out; `stall` limits it */ \
    X(LINGER,   linger,   linger_ms, CLOSED) /* the end is sent; what comes is dropped   */ \
    X(CLOSED,   closed,   no_ms,     CLOSED) /* the memory goes when the task has run    */
/* clang-format on */

enum session_state {
#define X(NAME, name, ms, LATE) SESSION_##NAME,
    STATES(X)
#undef X
};

struct session {
    struct serve *serve;
    struct list_node member; /* of the serve's sessions */
    struct task task;
    struct timer deadline;
    struct stall stall; /* in FLUSH */
    enum session_state state;

    struct stream *client;      /* owned */
    struct exchange *exchange;  /* owned; NULL between requests */
    struct h1_server *h1;       /* likewise */
    struct streams *streams;    /* owned; in STREAMS */
    struct socks_client *socks; /* owned; in SOCKS */
    struct tls_client *tls;     /* owned; in HELLO */
    struct log_id id;
    struct visitor from;
    struct holder holder;
    uint64_t requests;
    unsigned blank_lines; /* before the next request */
    size_t unsent;        /* in FLUSH, when it was last looked at */
    bool reset;           /* closing would make a response look complete */
    bool unread;          /* the client may still send what will not be read */
};

#define X(NAME, name, ms, LATE)                                                          \
    static enum session_state session_in_##name(struct session *s);
STATES(X)
#undef X

static const struct {
    const char *name;
    enum session_state (*run)(struct session *s);
    uint64_t (*deadline_ms)(const struct config *c);
    enum session_state late;
} states[] = {
#define X(NAME, name, ms, LATE)                                                          \
    [SESSION_##NAME] = { #name, session_in_##name, ms, SESSION_##LATE },
    STATES(X)
#undef X
};

/* An unsupported protocol: refused in that protocol, where it has a refusal. */
static enum session_state refuse_protocol(struct session *s, enum detected protocol)
{
    log_info(s->id, "not HTTP/1.1", LOG_S("protocol", detected_name(protocol)),
             LOG_S("client", s->from.address));
    early_refuse_protocol(&s->client->out);
    s->unread = true;
    return SESSION_FLUSH;
}

/* The connection goes on as a raw one, with the reference to `to`. */
static struct visitor visitor_to(const struct session *s, struct exposed *to)
{
    struct visitor from = s->from;

    from.exposed = to;
    return from;
}

/* The client has named where its bytes lead: with `e` OK to `to`. */
static enum session_state follow(struct session *s, enum err e, struct exposed *to,
                                 enum proxy_client due)
{
    stream_update(s->client);
    if (e == ERR_AGAIN)
        return s->client->in_eof || s->serve->draining ? SESSION_FLUSH : s->state;
    s->unread = true;
    if (e)
        return SESSION_FLUSH;
    struct visitor from = visitor_to(s, to);
    s->serve->handover->to_raw(s->serve, TAKE(s->client), &from, s->id, due);
    return SESSION_CLOSED;
}

static enum session_state session_in_socks(struct session *s)
{
    AUTO(exposed_unrefp) struct exposed *to = NULL;
    enum err e = socks_client_run(s->socks, s->serve, s->client, &s->from, s->id, &to);

    return follow(s, e, to, socks_client_kind(s->socks));
}

static enum session_state session_in_hello(struct session *s)
{
    AUTO(exposed_unrefp) struct exposed *to = NULL;
    enum err e = tls_client_run(s->tls, s->serve, s->client, &s->from, s->id, &to);

    return follow(s, e, to, PROXY_TLS);
}

static enum session_state begin_proxied(struct session *s, enum detected protocol)
{
    if (protocol == DETECT_TLS) {
        s->tls = tls_client_create(&s->task);
        return SESSION_HELLO;
    }
    s->socks = socks_client_create(protocol == DETECT_SOCKS4 ? 4 : 5, &s->task);
    return SESSION_SOCKS;
}

static enum session_state session_in_greet(struct session *s)
{
    uint8_t first[DETECT_MAX];
    size_t len = bufq_copy(&s->client->in, 0, first, sizeof(first));
    enum detected protocol = detect(first, len);

    if (protocol == DETECT_HTTP1)
        return SESSION_IDLE;
    if (protocol == DETECT_HTTP2)
        return SESSION_STREAMS;
    if (!s->from.tls && (protocol == DETECT_SOCKS4 || protocol == DETECT_SOCKS5 ||
                         protocol == DETECT_TLS))
        return begin_proxied(s, protocol);
    if (protocol != DETECT_MORE)
        return refuse_protocol(s, protocol);
    if (s->client->in_eof || s->serve->draining)
        return SESSION_FLUSH;
    return SESSION_GREET;
}

/* Robust servers skip an empty line before a request (RFC 9112, section 2.2).  Has a byte
 * of a request come? */
static bool skip_blank_lines(struct session *s)
{
    struct bufq *in = &s->client->in;
    char two[2] = "";

    while (s->blank_lines < BLANK_LINES_MAX && bufq_copy(in, 0, two, sizeof(two)) &&
           two[0] == '\r' && (in->len == 1 || two[1] == '\n')) {
        if (in->len == 1)
            return false;
        bufq_skip(in, sizeof(two));
        s->blank_lines++;
    }
    return !bufq_empty(in);
}

static void start_exchange(struct session *s, struct attempts *first)
{
    struct log_id id = { .kind = s->id.kind,
                         .number = s->id.number,
                         .sub = ++s->requests };

    s->blank_lines = 0;
    s->h1 = h1_server_take(&s->serve->h1, s->client);
    const struct client_loan loan = { &s->h1->message, &s->from, &s->holder, &s->task };
    s->exchange = exchange_open(s->serve, &loan, id, first);
}

/* What the client has not read of responses that are complete here. */
static void note_unread(struct session *s)
{
    const struct stream *client = s->client;
    bool unread = client_is_unread(client);

    if (unread)
        holder_wait(&s->holder, true, client->out.len, client->out.len);
    else if (s->state == SESSION_IDLE && s->holder.what != HOLDING_IDLE)
        holder_idle(&s->holder);
}

static enum session_state session_in_idle(struct session *s)
{
    if (!skip_blank_lines(s)) {
        stream_update(s->client);
        note_unread(s);
        return s->client->in_eof || s->serve->draining ? SESSION_FLUSH : SESSION_IDLE;
    }
    if (bufq_full(&s->client->out)) {
        note_unread(s);
        return SESSION_IDLE; /* it has to read its responses first */
    }
    start_exchange(s, NULL);
    return SESSION_EXCHANGE;
}

static void end_exchange(struct session *s)
{
    exchange_release(TAKE(s->exchange));
    h1_server_put(&s->serve->h1, TAKE(s->h1));
}

/* The answer to CONNECT is in the client's queue, and there is a stream to a pod. */
static enum session_state carry_connect(struct session *s)
{
    AUTO(exposed_unrefp) struct exposed *to = NULL;
    struct log_id id = s->id;
    struct attempts *attempts = exchange_take_connected(s->exchange, &to);
    struct visitor from = visitor_to(s, to);

    id.sub = (uint32_t)s->requests;
    s->serve->handover->to_leased(s->serve, TAKE(s->client), &from, id, attempts);
    end_exchange(s);
    return SESSION_CLOSED;
}

static enum session_state session_in_exchange(struct session *s)
{
    struct exchange_result result;

    if (!exchange_is_over(s->exchange, &result))
        return SESSION_EXCHANGE;
    if (result.connected)
        return carry_connect(s);
    if (result.hello) {
        end_exchange(s);
        return begin_proxied(s, DETECT_TLS);
    }
    s->reset = result.reset;
    s->unread = result.unread;
    s->from.paired |= result.paired;
    end_exchange(s);
    return result.keep && !result.reset && !s->serve->draining ? SESSION_IDLE
                                                               : SESSION_FLUSH;
}

static uint64_t session_deadline_ms(const struct session *s)
{
    return visitor_deadline_ms(&s->from, states[s->state].deadline_ms(s->serve->config));
}

/* The connection is idle while no request runs. */
static void watch_streams(struct session *s)
{
    bool idle = streams_count(s->streams) == 0;

    if (idle && s->holder.what != HOLDING_IDLE) {
        holder_idle(&s->holder);
        timer_set(&s->deadline, session_deadline_ms(s));
    } else if (!idle) {
        holder_none(&s->holder);
        timer_stop(&s->deadline);
    }
}

static enum session_state session_in_streams(struct session *s)
{
    if (!s->streams) {
        const struct client_loan loan = { NULL, &s->from, NULL, &s->task };
        s->streams = streams_open(s->serve, s->client, &loan, s->id);
    }
    streams_run(s->streams);
    s->from.paired |= streams_are_paired(s->streams);
    if (s->serve->draining)
        streams_drain(s->streams);
    watch_streams(s);
    if (!streams_are_over(s->streams))
        return SESSION_STREAMS;
    streams_close(TAKE(s->streams));
    s->client->wake = &s->task;
    return SESSION_FLUSH;
}

/* A slow reader may send bytes long after its response was handed to the kernel. */
static void look_at_rest(struct session *s)
{
    const struct stream *client = s->client;
    size_t unsent = stream_unsent(client);
    bool looked_before = s->unsent != 0, slow = looked_before && unsent != 0;

    s->unread = s->unread || slow || !bufq_empty(&client->in);
    stall_watch(&s->stall, unsent != 0, unsent, stall_send_ms(s->serve, &s->from));
    s->unsent = unsent;
}

static enum session_state session_in_flush(struct session *s)
{
    struct stream *client = s->client;

    look_at_rest(s);
    bufq_clear(&client->in);
    if (!s->reset)
        stream_shutdown(client);
    stream_update(client);
    note_unread(s);
    if (stream_unsent(client))
        return SESSION_FLUSH;
    return s->unread && !s->reset && !client->in_eof ? SESSION_LINGER : SESSION_CLOSED;
}

static enum session_state session_in_linger(struct session *s)
{
    bufq_clear(&s->client->in);
    stream_update(s->client);
    return s->client->in_eof ? SESSION_CLOSED : SESSION_LINGER;
}

static enum session_state session_in_closed(struct session *s)
{
    (void)s;
    return SESSION_CLOSED;
}

/* The stream is closed now; the memory is freed when the task has run. */
static void session_release(struct session *s)
{
    if (s->exchange)
        end_exchange(s);
    streams_close(TAKE(s->streams));
    socks_client_destroy(TAKE(s->socks));
    tls_client_destroy(TAKE(s->tls));
    if (s->from.paired)
        clusters_unpair(s->serve->clusters, s->id.number);
    if (s->reset)
        stream_abort(TAKE(s->client));
    else
        stream_close(TAKE(s->client));
    task_wake(&s->task);
}

static void note_holding(struct session *s)
{
    bool idle = s->state == SESSION_GREET || s->state == SESSION_IDLE;

    if (idle)
        holder_idle(&s->holder);
    else
        holder_none(&s->holder);
}

/* The only road from one state to another. */
static void session_enter(struct session *s, enum session_state next)
{
    log_debug(s->id, "session", LOG_S("from", states[s->state].name),
              LOG_S("to", states[next].name));
    s->state = next;
    timer_set(&s->deadline, session_deadline_ms(s));
    note_holding(s);
    if (next == SESSION_CLOSED)
        session_release(s);
}

static void session_free(struct session *s)
{
    task_cancel(&s->task);
    timer_stop(&s->deadline);
    timer_stop(&s->stall.timer);
    holder_finish(&s->holder);
    list_remove(&s->member);
    serve_client_left(s->serve, &s->from);
    exposed_unref(s->from.exposed);
    free(s);
}

/* A broken client ends any state; an exchange notices it by itself. */
static enum session_state run_state(struct session *s)
{
    bool own = s->state != SESSION_EXCHANGE && s->state != SESSION_STREAMS;

    if (s->state < SESSION_CLOSED && own && s->client->broken) {
        tls_client_log_failure(s->client, &s->from, s->id);
        return SESSION_CLOSED;
    }
    return states[s->state].run(s);
}

static void session_on_wake(struct task *t)
{
    struct session *s = container_of(t, struct session, task);

    while (s->state != SESSION_CLOSED) {
        enum session_state next = run_state(s);
        if (next == s->state)
            return;
        session_enter(s, next);
    }
    session_free(s);
}

static void session_turn_away(struct session *s)
{
    pressure_note(&s->serve->pressure, EVENT_CLIENT);
    early_refuse_too_many(&s->client->out);
    s->unread = true;
}

static void session_on_deadline(struct timer *t)
{
    struct session *s = container_of(t, struct session, deadline);

    if (s->from.surplus && s->state == SESSION_GREET)
        session_turn_away(s);
    if (s->state == SESSION_STREAMS) {
        streams_end(s->streams);
        return;
    }
    session_enter(s, states[s->state].late);
    task_wake(&s->task);
}

bool session_uses_pod(const struct holder *h, const char *pod_key)
{
    if (streams_own_holder(h))
        return streams_use_pod(h, pod_key);
    const struct session *s = container_of(h, const struct session, holder);
    const struct endpoint *e = s->exchange ? exchange_endpoint(s->exchange) : NULL;

    return e && strcmp(e->key, pod_key) == 0;
}

/* A session with a response that is not read yet is not idle. */
static bool session_give_way(struct holder *h, enum holding what)
{
    struct session *s = container_of(h, struct session, holder);

    if (what == HOLDING_IDLE && !bufq_empty(&s->client->out))
        return false;
    if (what == HOLDING_HEAD) {
        exchange_refuse_for_memory(s->exchange);
        return true;
    }
    if (what != HOLDING_IDLE)
        log_info(s->id, "closed to make room for others",
                 LOG_S("client", s->from.address),
                 LOG_U("stalled_ms", s->task.sched->now - h->since));
    s->reset = what != HOLDING_IDLE;
    session_enter(s, SESSION_CLOSED);
    return true;
}

static void session_on_stall(struct timer *t)
{
    struct session *s = container_of(t, struct session, stall.timer);

    if (s->state != SESSION_FLUSH || !stall_look(&s->stall, s->client))
        return;
    client_log_stall(&s->stall, s->id, s->from.address, true);
    s->reset = true;
    session_enter(s, SESSION_CLOSED);
}

static struct session *session_create(struct serve *serve, struct stream *client,
                                      const struct visitor *from, struct log_id id)
{
    struct session *s = xcalloc(1, sizeof(*s));

    s->serve = serve;
    s->client = client;
    s->from = *from;
    exposed_ref(s->from.exposed);
    s->id = id;
    task_init(&s->task, serve->sched, RANK_WORK, session_on_wake);
    timer_init(&s->deadline, serve->sched, session_on_deadline);
    timer_init(&s->stall.timer, serve->sched, session_on_stall);
    list_append(&serve->sessions, &s->member);
    serve_client_came(serve);
    client->wake = &s->task;
    holder_init(&s->holder, &serve->pressure, s->from.account, session_give_way);
    return s;
}

void session_open(struct serve *serve, struct stream *client, const struct visitor *from)
{
    struct log_id id = { .kind = 's', .number = ++serve->next_number };
    struct session *s = session_create(serve, client, from, id);

    log_debug(s->id, "connected", LOG_S("client", from->address),
              LOG_U("listener", from->listener_port));
    s->unread = from->refused;
    session_enter(s, from->refused ? SESSION_FLUSH : SESSION_GREET);
    task_wake(&s->task);
}

void session_open_secure(struct serve *serve, struct stream *client,
                         const struct visitor *from, struct log_id id)
{
    struct session *s = session_create(serve, client, from, id);

    session_enter(s, SESSION_GREET);
    task_wake(&s->task);
}

void session_open_hello(struct serve *serve, struct stream *client,
                        const struct visitor *from, struct log_id id)
{
    struct session *s = session_create(serve, client, from, id);

    session_enter(s, begin_proxied(s, DETECT_TLS));
    task_wake(&s->task);
}

void session_open_exposed(struct serve *serve, struct stream *client,
                          const struct visitor *from, struct log_id id,
                          struct attempts *attempts)
{
    struct session *s = session_create(serve, client, from, id);

    s->requests = s->id.sub;
    s->id.sub = 0;
    start_exchange(s, attempts);
    session_enter(s, SESSION_EXCHANGE);
}

void session_open_ending(struct serve *serve, struct stream *client,
                         const struct visitor *from, struct log_id id)
{
    struct session *s = session_create(serve, client, from, id);

    s->unread = true;
    session_enter(s, SESSION_FLUSH);
    task_wake(&s->task);
}

static struct session *of_member(struct list_node *member)
{
    return container_of(member, struct session, member);
}

void session_nudge(struct list_node *member)
{
    task_wake(&of_member(member)->task);
}

void session_kill(struct list_node *member)
{
    struct session *s = of_member(member);

    if (s->state == SESSION_CLOSED)
        return;
    s->reset = true;
    session_enter(s, SESSION_CLOSED);
}

void session_close_denied(struct list_node *member)
{
    struct session *s = of_member(member);

    if (s->streams)
        streams_close_denied(s->streams);
    if (!s->exchange || !exchange_reaches_closed(s->exchange))
        return;
    log_info(s->id, "closed: its namespace is closed now",
             LOG_S("client", s->from.address));
    session_kill(member);
}

const struct visitor *session_visitor(const struct list_node *member)
{
    return &container_of(member, const struct session, member)->from;
}

void session_destroy(struct list_node *member)
{
    session_kill(member);
    session_free(of_member(member));
}

static const char *protocol_text(const struct session *s)
{
    if (s->streams)
        return "http2";
    if (s->state == SESSION_SOCKS)
        return "socks";
    if (s->state == SESSION_HELLO)
        return "tls";
    return s->state == SESSION_GREET ? NULL : "http";
}

bool session_status(const struct list_node *member, struct client_status *ret)
{
    const struct session *s = container_of(member, const struct session, member);
    const struct endpoint *e = s->exchange ? exchange_endpoint(s->exchange) : NULL;

    *ret = (struct client_status){
        .id = s->id,
        .address = s->from.address,
        .protocol = protocol_text(s),
        .state = states[s->state].name,
        .listener = s->from.listener_port,
        .requests = s->streams ? streams_begun(s->streams) : s->requests,
        .running = s->streams ? streams_count(s->streams) : s->exchange != NULL,
        .ns = e ? e->ns : NULL,
        .pod = e ? e->pod : NULL,
        .host = s->from.exposed ? str_of(s->from.exposed->route.name.text) : STR(""),
    };
    return s->state != SESSION_CLOSED;
}
