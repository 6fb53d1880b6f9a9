/* tunnel/tunnel.c - the life of one tunnel
 *
 * THEORY OF OPERATION
 *
 *   pairs: one forwarded           tunnel                     transport
 *   connection each
 *   stream ─ out ─▶ ┐  frames_flush, once a turn (RANK_FLUSH)
 *   stream ─ out ─▶ ┴─────────▶ SPDY frames ─▶ transport->out ─▶ TLS ─▶ API server ─▶
 *   stream ◀─ in ── ┐                                             kubelet ─▶ runtime
 *   stream ◀─ in ── ┴───────── SPDY frames ◀─ transport->in ◀─ TLS ◀─
 *                      frames_read, as bytes come (RANK_READ)
 *
 * The peer is moby/spdystream in the container runtime on the pod's node; the API server
 * and the kubelet only copy bytes.  It has no flow control.  It has five frame workers: a
 * stream belongs to the worker `id mod 5` (its worker slot), and a worker whose consumer does
 * not read stops for ever, with everything behind it.  From that follows what this file
 * keeps to:
 *
 * - A connection is opened without waiting: the SYN_STREAMs of its error and data stream
 *   and the first bytes leave together.  Ids are (a, a + 10), so that both streams of a
 *   pair have the same slot, and a stuck worker hurts one pair.
 * - Only the error stream says how a connection ended (pair.c).  A failed connection is
 *   that connection's matter; the tunnel is not given up because of it.
 * - Never a DATA frame after the far end's FIN: the second one stops the worker.
 * - A slot is used again only after our FIN and five PINGs behind it, which the server
 *   deals to the five workers in turn, have all come back (the probe): its worker has then
 *   taken everything we ever sent it, and nothing more will come of that pair.  The
 *   verdict is not waited for: the runtime gives it a second after our FIN.  So a tunnel,
 *   also an own one, may serve while those who left (`left`, at most LEFT_MAX) still wait
 *   for theirs; what comes for them is dropped, and is much only on a tunnel that retires.
 * - A verdict that is not clean and comes before the proof means a dead slot: with data
 *   in flight to a refused port the worker never comes back.  After the proof it means
 *   nothing to the tunnel: `slot_pair` knows whether the slot is still that pair's.
 * - Probes are shared and late, since each costs the chain a round trip: an own tunnel
 *   makes one when it has come to its last good slot, a shared one GATHER_MS after a
 *   pair has left, or when somebody waits.
 * - Until then, or when a slot is dead, new pairs use another one; a tunnel without a
 *   good slot retires.  It closes when nobody uses it and what was sent was taken: as a
 *   probe says, or the verdicts do.
 * - A connection that has its tunnel to itself is braked by TCP, both ways.  Where several
 *   share one, TCP would brake all of them: share.h says how each is braked for itself.
 * - Silence means death only while an answer could come (liveness.c).
 *
 * Ownership: pod (tunnels.c) owns the tunnel; the tunnel owns the transport and the pairs;
 * a pair's stream is its user's, who ends it with stream_close or stream_abort.  When the
 * tunnel goes first, its pairs end with V_TRANSPORT_LOST and stay their users' until closed.
 *
 * What it cannot do: tell a slow pod from a stuck one early (there is no window), find out
 * that a node died under an upload before the API server does (PINGs wait behind it), learn
 * that a connection was accepted (there is no such signal), or pass on a client's
 * half-close without the runtime cutting the answer a second later.
 */
#include "tunnel/tunnel.h"

#include <assert.h>

#include "base/base64.h"
#include "base/log.h"
#include "base/own.h"
#include "net/tcp.h"
#include "tunnel/liveness.h"
#include "tunnel/pod.h"
#include "tunnel/worker_slots.h"
#include "tunnel/share.h"
#include "tunnel/prewarmed_connection.h"
#include "tunnel/websocket.h"

LOG_MODULE(tunnel);

#define LEFT_MAX 100 /* pairs that wait for their verdict; the runtime takes a second */
#define SYN_ROOM (SPDY_PAIR_MAX + 64)
#define TRANSPORT_LEARNT_MS (10 * 60 * 1000)

static const char *const transport_names[] = { "spdy", "websocket" };

#define STATES(X) /* clang-format off */ \
    X(ASK,     ask)     /* waiting for the credential                       */ \
    X(CONNECT, connect) /* waiting for the TCP connection to the API server */ \
    X(UPGRADE, upgrade) /* TLS, the upgrade request, waiting for its answer */ \
    X(OPEN,    open)    /* SPDY                                             */ \
    X(CLOSED,  closed)  /* the pod takes it apart                           */
/* clang-format on */

#define X(NAME, name) static enum tunnel_state in_##name(struct tunnel *t);
STATES(X)
#undef X

static const struct {
    const char *name;
    enum tunnel_state (*run)(struct tunnel *t);
} states[] = {
#define X(NAME, name) [TUNNEL_##NAME] = { #name, in_##name },
    STATES(X)
#undef X
};

static uint64_t now(const struct tunnel *t)
{
    return t->step.sched->now;
}

static enum tunnel_state fail(struct tunnel *t, enum err e, const char *why)
{
    if (!t->error.code) {
        t->error.code = e;
        diag_set(&t->error.why, e, "%s", why);
    }
    return TUNNEL_CLOSED;
}

static void ask_for_upgrade(struct tunnel *t)
{
    const struct kube_target *target = api_target(t->origin->api);
    uint64_t random[2] = { sched_random(t->step.sched), sched_random(t->step.sched) };
    AUTO_FREE char *key = base64_encode((struct str){ (char *)random, sizeof(random) });
    struct upgrade_request request = { .transport = t->kind,
                                       .key = key,
                                       .prefix = target->prefix,
                                       .host = target->host_header,
                                       .fields = t->credential->fields,
                                       .ns = t->pod->ns,
                                       .pod = t->pod->name };
    upgrade_request_write(&request, &t->transport->out);
    stream_update(t->transport);
}

void transport_connect(const struct tunnel_origin *o, struct connecting *c,
                       struct task *wake)
{
    const struct kube_target *target = api_target(o->api);
    struct connecting_to to = { .host = target->host,
                                .port = target->port,
                                .proxy = target->proxy,
                                .identity = credentials_identity(api_credentials(o->api)),
                                .timeout_ms = o->settings->dial_ms };
    connecting_start(c, o->transfers, &to, wake);
}

/* Sessions are kept with the context, which is made anew when the identity has changed.  A
 * connection that was begun with an older one gets a context of its own.  HTTP/2 cannot be
 * upgraded.  The result is the caller's reference. */
static struct tls_context *context_for(const struct tunnel_origin *o,
                                       struct tls_identity *identity)
{
    if (tls_context_is_of(*o->tls, identity))
        return tls_context_ref(*o->tls);
    if (identity != credentials_identity(api_credentials(o->api)))
        return tls_context_of(identity, "http/1.1");
    if (*o->tls)
        tunnels_on_new_identity(o);
    tls_context_unref(*o->tls);
    *o->tls = tls_context_of(identity, "http/1.1");
    return tls_context_ref(*o->tls);
}

struct stream *transport_open(const struct tunnel_origin *o, struct connecting *c,
                              struct tls_identity *identity)
{
    struct stream *s = c->stream ? TAKE(c->stream) : tcp_open(o->loop, c->fd, 0, 0);
    c->fd = -1;
    if (!identity)
        return s;
    AUTO_FREE char *name = tls_identity_name(identity, api_target(o->api)->host);
    struct tls_context *context = context_for(o, identity);
    struct stream *tls = tls_client_open(o->loop, context, s, name);
    tls_context_unref(context);
    return tls;
}

static void start_connecting(struct tunnel *t)
{
    connecting_finish(&t->connecting);
    transport_connect(t->origin, &t->connecting, &t->step);
}

/* On the spare connection, if there is one that shows the same certificate. */
static void begin_connecting(struct tunnel *t)
{
    t->transport =
        prewarmed_connection_take(t->origin->prewarmed, t->credential->identity);
    t->on_prewarmed = t->transport != NULL;
    if (!t->on_prewarmed)
        start_connecting(t);
}

static enum err ask(struct tunnel *t, struct diag *why)
{
    enum err e =
        credentials_get(api_credentials(t->origin->api), &t->want, &t->credential, why);
    if (e)
        return e;
    t->started_at = now(t);
    begin_connecting(t);
    timer_set(&t->deadline, t->origin->settings->dial_ms);
    return OK;
}

/* The time of a dial does not run before there is a credential: a plugin may ask a person
 * for a password. */
static enum tunnel_state in_ask(struct tunnel *t)
{
    struct diag why = { "" };
    enum err e = ask(t, &why);

    if (e == ERR_AGAIN)
        return TUNNEL_ASK;
    return e ? fail(t, ERR_CREDENTIALS, diag_text(&why, e)) : TUNNEL_CONNECT;
}

static enum tunnel_state in_connect(struct tunnel *t)
{
    enum err e = t->transport ? OK : t->connecting.result;

    if (e == ERR_AGAIN)
        return TUNNEL_CONNECT;
    if (e)
        return fail(t, e, diag_text(&t->connecting.why, e));
    if (!t->transport)
        t->transport = transport_open(t->origin, &t->connecting, t->credential->identity);
    t->transport->wake = &t->step;
    t->wire = t->transport;
    ask_for_upgrade(t);
    return TUNNEL_UPGRADE;
}

static enum tunnel_state dial_again(struct tunnel *t)
{
    t->error = (struct api_error){ 0 };
    stream_close(TAKE(t->transport));
    start_connecting(t);
    return TUNNEL_CONNECT;
}

/* The connection was made before, and has died since. */
static enum tunnel_state leave_prewarmed(struct tunnel *t)
{
    t->on_prewarmed = false;
    return dial_again(t);
}

/* The credential was not accepted: dial once more, if there may be another one. */
static bool may_ask_again(struct tunnel *t)
{
    bool first = !t->rejected;

    if (t->error.code != ERR_UNAUTHORIZED)
        return false;
    t->rejected = true;
    return credentials_reject(api_credentials(t->origin->api),
                              t->credential->generation) &&
           first;
}

static enum tunnel_state ask_again(struct tunnel *t)
{
    t->error = (struct api_error){ 0 };
    t->on_prewarmed = false;
    stream_close(TAKE(t->transport));
    timer_stop(&t->deadline);
    credential_unref(TAKE(t->credential));
    return TUNNEL_ASK;
}

/* This transport was refused: dial once more, with the other. */
static enum tunnel_state try_other_transport(struct tunnel *t)
{
    log_debug(t->id, "transport refused", LOG_S("transport", transport_names[t->kind]),
              LOG_I("status", t->error.status),
              LOG_S("reason", diag_text(&t->error.why, t->error.code)));
    t->second_try = true;
    t->refusal = t->error;
    t->kind =
        t->kind == TRANSPORT_KIND_SPDY ? TRANSPORT_KIND_WEBSOCKET : TRANSPORT_KIND_SPDY;
    return dial_again(t);
}

/* Certificates may have been replaced, or have expired. */
static void on_tls_failure(struct tunnel *t)
{
    credentials_on_tls_failure(api_credentials(t->origin->api));
    credential_explain(t->credential, &t->error.why);
}

static enum tunnel_state upgrade_failed(struct tunnel *t)
{
    bool may_choose = t->origin->settings->transport == TUNNEL_TRANSPORT_AUTO;

    if (may_ask_again(t))
        return ask_again(t);
    if (t->error.code == ERR_UNAUTHORIZED)
        credential_explain(t->credential, &t->error.why);
    api_explain_refusal(t->origin->api, t->credential, &t->error);
    if (may_choose && !t->second_try && upgrade_refused_transport(&t->error))
        return try_other_transport(t);
    if (t->second_try && upgrade_refused_transport(&t->error))
        t->error = t->refusal; /* both are: the first word was of the usual verb */
    return TUNNEL_CLOSED;
}

static enum tunnel_state upgraded(struct tunnel *t)
{
    struct transport_memory *m = t->origin->transports;

    if (t->second_try && upgrade_teaches(&t->refusal)) {
        m->learnt = t->kind;
        m->learnt_until = now(t) + TRANSPORT_LEARNT_MS;
    }
    if (t->kind == TRANSPORT_KIND_WEBSOCKET) {
        t->transport = websocket_open(t->origin->loop, t->transport);
        t->transport->wake = &t->step;
    }
    return TUNNEL_OPEN;
}

static enum tunnel_state in_upgrade(struct tunnel *t)
{
    struct stream *c = t->transport;
    enum err e = upgrade_answer_read(&c->in, c->in_eof, t->kind, &t->error);

    if (e == ERR_AGAIN)
        return TUNNEL_UPGRADE;
    if (e == OK)
        return upgraded(t);
    if (t->on_prewarmed && !t->error.status)
        return leave_prewarmed(t);
    const char *address = api_target(t->origin->api)->host_header;
    if (c->broken && !t->error.status) { /* the transport knows better why */
        t->error = (struct api_error){ .code = ERR_CONNECT };
        diag_set(&t->error.why, ERR_CONNECT, "%s: %s", address,
                 diag_text(&c->end.why, e));
        if (t->credential->identity && !tls_ready(t->wire))
            on_tls_failure(t);
        return TUNNEL_CLOSED;
    }
    if (e == ERR_EOF)
        diag_prefix(&t->error.why, e, "%s", address);
    return upgrade_failed(t);
}

static enum transport first_choice(const struct tunnel_origin *o, uint64_t at)
{
    const struct transport_memory *m = o->transports;
    return m->learnt_until > at ? m->learnt : m->usual;
}

/* Bytes wait in the transport for room in a pair. */
static bool is_held_up(const struct tunnel *t)
{
    return t->data_left && !bufq_empty(&t->transport->in);
}

bool tunnel_is_reading(const struct tunnel *t)
{
    return !t->transport->paused && !is_held_up(t);
}

static bool worn_out(const struct tunnel *t)
{
    const struct tunnel_settings *s = t->origin->settings;
    return t->carried >= s->pairs_max || now(t) - t->opened_at >= s->age_ms ||
           t->last_id > SPDY_ID_MAX - 64 || slots_are_dead(t);
}

static void retire(struct tunnel *t)
{
    if (t->retired)
        return;
    t->retired = true;
    if (t->state == TUNNEL_OPEN)
        pod_on_tunnel_retired(t->pod, t);
}

static enum tunnel_state in_open(struct tunnel *t)
{
    struct diag why = { 0 };
    enum err e = frames_read(t, &why);

    if (e)
        return fail(t, e, diag_text(&why, e));
    if (t->transport->in_eof && !is_held_up(t)) /* half a frame may be left */
        return fail(t, ERR_EOF, diag_text(&t->transport->end.why, ERR_EOF));
    if (t->transport->broken)
        return fail(t, ERR_RESET, diag_text(&t->transport->end.why, ERR_RESET));
    if (worn_out(t))
        retire(t);
    slots_run(t);
    if (t->retired && list_empty(&t->pairs) && slots_have_delivered(t))
        return fail(t, ERR_CANCELLED, "retired");
    if (!list_empty(&t->pairs))
        task_wake(&t->flush);
    pod_on_tunnel_change(t->pod);
    return TUNNEL_OPEN;
}

static enum tunnel_state in_closed(struct tunnel *t)
{
    (void)t;
    return TUNNEL_CLOSED;
}

static void log_opened(struct tunnel *t)
{
    log_info(t->id, "tunnel opened", LOG_S("pod", t->pod->label),
             LOG_S("transport", transport_names[t->kind]),
             LOG_U("ms", now(t) - t->started_at));
}

static void lose_pairs(struct tunnel *t)
{
    list_for_each (p, &t->left, struct pair, in_tunnel)
        pair_destroy(p);
    list_for_each (p, &t->pairs, struct pair, in_tunnel) {
        pair_set_lent(p, false);
        list_remove(&p->in_tunnel);
        p->tunnel = NULL;
        if (p->left)
            pair_destroy(p);
        else
            pair_on_tunnel_lost(p, diag_text(&t->error.why, t->error.code));
    }
}

static void release(struct tunnel *t)
{
    if (t->opened_at)
        log_info(t->id, "tunnel closed", LOG_S("pod", t->pod->label),
                 LOG_S("reason", diag_text(&t->error.why, t->error.code)),
                 LOG_U("connections", t->carried), LOG_U("ms", now(t) - t->opened_at));
    timer_stop(&t->deadline);
    credentials_leave(&t->want);
    credential_unref(TAKE(t->credential));
    liveness_stop(t);
    slots_finish(t);
    connecting_finish(&t->connecting);
    lose_pairs(t);
    stream_close(TAKE(t->transport));
}

/* The only road from one state to another. */
static void enter(struct tunnel *t, enum tunnel_state next)
{
    log_debug(t->id, "state", LOG_S("from", states[t->state].name),
              LOG_S("to", states[next].name));
    t->state = next;
    if (next == TUNNEL_OPEN) {
        bool outdated = t->credential->identity !=
                        credentials_identity(api_credentials(t->origin->api));
        credential_unref(TAKE(t->credential));
        t->opened_at = t->heard_at = now(t);
        t->used_at = t->pod->demand.asked_at; /* which may be long ago: dialled ahead */
        timer_stop(&t->deadline);
        liveness_start(t);
        log_opened(t);
        pod_on_tunnel_open(t->pod, t);
        if (outdated)
            tunnel_retire(t);
    }
    if (next == TUNNEL_CLOSED) {
        release(t);
        pod_on_tunnel_closed(t->pod, t);
    }
}

static void on_step(struct task *task)
{
    struct tunnel *t = container_of(task, struct tunnel, step);
    enum tunnel_state state = t->state;
    enum tunnel_state next = states[state].run(t);

    if (next == state)
        return;
    task_wake(&t->step);
    enter(t, next); /* into CLOSED: t is the pod's to free, and its tasks are cancelled */
}

static void on_flush(struct task *task)
{
    struct tunnel *t = container_of(task, struct tunnel, flush);
    if (t->state == TUNNEL_OPEN)
        frames_flush(t);
}

static void on_deadline(struct timer *timer)
{
    struct tunnel *t = container_of(timer, struct tunnel, deadline);
    if (t->state == TUNNEL_OPEN) {
        slots_on_deadline(t);
        return;
    }
    /* It has the request; who does not answer is the node. */
    t->reached = t->state == TUNNEL_UPGRADE &&
                 (!api_target(t->origin->api)->tls || tls_ready(t->wire));
    tunnel_close(t, ERR_TIMEOUT, "the API server did not open the port-forward in time");
}

void tunnel_close(struct tunnel *t, enum err e, const char *why)
{
    if (t->state == TUNNEL_CLOSED)
        return;
    fail(t, e, why);
    enter(t, TUNNEL_CLOSED);
}

struct tunnel *tunnel_create(const struct tunnel_origin *o, struct pod *pod,
                             struct log_id id, bool shared)
{
    struct sched *sched = loop_sched(o->loop);
    struct tunnel *t = xcalloc(1, sizeof(*t));
    struct diag why;

    t->origin = o;
    t->pod = pod;
    t->id = id;
    t->next_ping = 1;
    t->started_at = sched->now;
    list_init(&t->in_pod);
    list_init(&t->in_room);
    list_init(&t->pairs);
    list_init(&t->left);
    timer_init(&t->deadline, sched, on_deadline);
    task_init(&t->step, sched, RANK_READ, on_step);
    task_init(&t->flush, sched, RANK_FLUSH, on_flush);
    liveness_init(t);
    slots_init(t);
    t->want.wake = &t->step;
    t->share = shared ? share_create(t) : NULL;
    t->kind = first_choice(o, sched->now);
    if (ask(t, &why) == OK) /* without them it fails, or waits, in its own turn */
        t->state = TUNNEL_CONNECT;
    task_wake(&t->step);
    return t;
}

void tunnel_destroy(struct tunnel *t)
{
    if (!t)
        return;
    assert(t->state == TUNNEL_CLOSED);
    task_cancel(&t->step);
    task_cancel(&t->flush);
    list_remove(&t->in_pod);
    list_remove(&t->in_room);
    share_destroy(t->share);
    free(t);
}

bool tunnel_in_use(const struct tunnel *t)
{
    list_for_each (p, &t->pairs, struct pair, in_tunnel)
        if (p->lent)
            return true;
    return false;
}

bool tunnel_has_delivered(const struct tunnel *t)
{
    list_for_each (p, &t->pairs, struct pair, in_tunnel)
        if (p->left)
            return false;
    return slots_have_delivered(t);
}

bool tunnel_takes_pairs(const struct tunnel *t)
{
    return t->state == TUNNEL_OPEN && !t->retired && slots_find_free(t) >= 0 &&
           t->left_count < LEFT_MAX && bufq_room(&t->transport->out) >= SYN_ROOM &&
           !share_is_blind(t);
}

/* Not even an idle connection lies here: it may be lent again at any time, and then there
 * would be two where each believes to be alone. */
bool tunnel_available(const struct tunnel *t)
{
    list_for_each (p, &t->pairs, struct pair, in_tunnel)
        if (!p->left || pair_may_have_buried_its_worker(p))
            return false;
    return tunnel_takes_pairs(t);
}

bool tunnel_joinable(const struct tunnel *t)
{
    return t->share && tunnel_takes_pairs(t) && share_welcomes(t);
}

uint32_t tunnel_carries(const struct tunnel *t)
{
    return t->share ? WORKERS : 1;
}

/* The first one to its port has to show that something listens there. */
static struct stream *add_pair(struct tunnel *t, const struct spdy_pair *ids, bool alone)
{
    struct pair *p = pair_create(t, ids);

    p->alone = alone;
    p->proves = !ports_know(&t->pod->ports, ids->port) && !tunnel_in_use(t);
    ports_on_connect(&t->pod->ports, ids->port);
    pair_set_lent(p, true);
    return &p->stream;
}

struct stream *tunnel_connect(struct tunnel *t, const struct opening *o)
{
    int slot = slots_find_free(t);
    uint32_t error_id = t->last_id ? t->last_id + 2 : 1;
    uint8_t bytes[SPDY_PAIR_MAX];

    assert(tunnel_available(t) || tunnel_joinable(t));
    while ((int)(error_id % WORKERS) != slot)
        error_id += 2;
    struct spdy_pair pair = { error_id, error_id + 2 * WORKERS, o->port, t->carried };
    size_t n = spdy_pair_encode(&pair, t->carried == 0, bytes);
    bool fits = bufq_put(&t->transport->out, bytes, n);
    assert(fits);
    (void)fits;
    t->last_id = pair.data_id;
    t->carried++;
    slots_take(t, pair.data_id);
    tunnel_used(t);
    task_wake(&t->flush);
    return add_pair(t, &pair, o->alone);
}

void tunnel_used(struct tunnel *t)
{
    t->used_at = now(t);
    task_wake(&t->step); /* there may be room to read into, or somebody to serve */
}

/* Only its verdict is waited for, beside those who use the tunnel. */
void tunnel_on_pair_left(struct tunnel *t, struct pair *p)
{
    p->parted = true;
    list_remove(&p->in_tunnel);
    list_append(&t->left, &p->in_tunnel);
    t->left_count++;
    slots_on_pair_left(t, p);
    if (pair_may_have_buried_its_worker(p))
        tunnel_retire(t);
    if (p->stream.end.verdict != V_OPEN)
        pair_gone(p);
    task_wake(&t->step);
}

void tunnel_on_pair_gone(struct tunnel *t, const struct pair *p)
{
    t->left_count -= p->parted;
    slots_on_pair_gone(t, p);
    task_wake(&t->step);
}

void tunnel_retire(struct tunnel *t)
{
    retire(t);
    task_wake(&t->step);
}
