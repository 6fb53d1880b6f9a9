/* upstream/upstream.c - from "a request for web.shop, port 80" to a byte stream
 *
 * THEORY OF OPERATION
 *
 *            ┌────────────── a change, or the retry timer ──────────────┐
 *            ▼                                                          │
 *   LOOKUP ──▶ choose an endpoint ──▶ idle connection? ─yes─▶ HELD      │
 *     │                                    no                           │
 *     │                                    ▼                            │
 *     │                                 OPENING ──▶ HELD                │
 *     │ not now                            │ not now                    │
 *     └──────────────▶ PARKED ◀────────────┘ ───────────────────────────┘
 *
 * A lease in the steady state passes through LOOKUP to HELD inside upstream_lease: the
 * catalog knows the service and an idle connection lies in the pool, or a tunnel is warm.
 *
 * Whether a failure is final is decided here and nowhere else.  Final: the service does
 * not exist, a right is missing, the port is not declared, there is no pod at all.  Not
 * now: no endpoint is ready but one is expected, the API server cannot be reached, is
 * overloaded or fails.  "Not now" parks the lease until its want's time is up, and then
 * tells the last reason.  A parked lease looks again when its service changes and every
 * RETRY_MS.
 *
 * One struct leasing per lease, from a list of spares.  It is the owner of the look-up,
 * of the opening and of the reference to the endpoint; the lease's user sees struct lease
 * only.
 */
#include "upstream/upstream.h"

#include <assert.h>
#include <stdio.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "upstream/allowed.h"
#include "upstream/at_once.h"
#include "upstream/balance.h"
#include "upstream/connectors.h"
#include "upstream/external.h"
#include "upstream/loops.h"
#include "upstream/missing.h"
#include "upstream/pool.h"
#include "upstream/prewarming.h"
#include "upstream/no_endpoint.h"
#include "upstream/waiters.h"

LOG_MODULE(upstream);

#define RETRY_MS 250    /* parked: look again */
#define NEWS_MS 250     /* ... but not after a failure */
#define FRESH_MS 3000   /* a look-up this old will do */
#define TRIES 3         /* openings that fail in a row before it waits */
#define PATIENCE_MS 700 /* a request that may be repeated waits for a sign of the pod */
#define SPARES_MAX 256

enum lease_state { LEASE_LOOKUP, LEASE_OPENING, LEASE_PARKED, LEASE_HELD, LEASE_FAILED };

struct leasing {
    struct list_node node; /* of upstream's leases, or of its spares */
    struct upstream *owner;
    struct lease *lease;
    struct want want;
    enum lease_state state;
    struct task step;
    struct task *wake; /* the user's */
    struct timer late; /* give_up_at */
    struct timer retry;
    struct lookup lookup;
    struct opening opening;
    struct external external; /* where ExternalNames have led */
    uint64_t held_at;
    uint64_t idle_ms;        /* of its connection, when it was taken */
    struct waiter waiter;    /* while it opens, and may take a connection instead */
    struct endpoint *avoid;  /* a reference */
    struct endpoint *second; /* the same: to be prepared when this lease ends; or NULL */
    bool prewarm;            /* more tunnels to its own endpoint, too */
    bool parked_once;
    bool extended;     /* the wait was over, but a tunnel was about to come */
    char *words;       /* the lease's */
    enum err reason;   /* for the last time it was parked */
    unsigned failures; /* openings since it last waited */
};

struct upstream {
    struct loop *loop;
    struct sched *sched;
    struct catalog *catalog;
    struct connectors connectors;
    struct upstream_settings settings;
    struct pool *pool;
    struct balance *balance;
    struct prewarming *prewarming;
    struct waiters waiters;
    struct list_node leases, spares;
    size_t lease_count, spare_count;
    struct task *drained;
    struct allowed allowed;
    struct missing missing;
    char *found_zone; /* or NULL */
};

static struct metric metric_parked = {
    .name = "kube_tunnel_parked_total",
    .help = "Requests that had to wait for an endpoint.",
    .type = METRIC_COUNTER,
};
static struct metric metric_leases = {
    .name = "kube_tunnel_leases_total",
    .help = "Leases, by the source of their connection.",
    .type = METRIC_COUNTER,
    .label = "source",
    .values = { "idle", "tunnel", "direct", "failed" },
};

enum source { SOURCE_IDLE, SOURCE_TUNNEL, SOURCE_DIRECT, SOURCE_FAILED };

static void count_lease(const struct upstream *u, enum source source)
{
    metric_add_for(&metric_leases, u->settings.cluster, source, 1);
}

static const struct route *route_of(const struct leasing *l)
{
    return l->external.route ? l->external.route : l->want.route;
}

static void ask(struct leasing *l, uint64_t max_age_ms)
{
    const struct name *n = &route_of(l)->name;

    lookup_finish(&l->lookup);
    if (n->kind == NAME_POD)
        catalog_lookup_pod(l->owner->catalog, n->ns, n->endpoint, max_age_ms, &l->lookup,
                           &l->step);
    else if (n->kind == NAME_DEPLOYMENT)
        catalog_lookup_deployment(l->owner->catalog, n->ns, n->service, max_age_ms,
                                  &l->lookup, &l->step);
    else
        catalog_lookup(l->owner->catalog, n->ns, n->service, max_age_ms, &l->lookup,
                       &l->step);
}

static void settle(struct leasing *l, enum lease_state state, enum err result)
{
    timer_stop(&l->late);
    timer_stop(&l->retry);
    lookup_finish(&l->lookup);
    l->state = state;
    l->lease->result = result;
}

static void set_endpoint(struct leasing *l, struct endpoint *e)
{
    endpoint_unref(l->lease->endpoint);
    l->lease->endpoint = e ? endpoint_ref(e) : NULL;
}

/* ---- failing ---- */

static void note_words(struct leasing *l)
{
    free(l->words);
    l->words = xstrdup_or_null(connectors_credential_words(&l->owner->connectors));
    l->lease->words = l->words;
}

static enum lease_state fail(struct leasing *l, enum err e)
{
    count_lease(l->owner, SOURCE_FAILED);
    if (l->external.route)
        diag_prefix(&l->lease->why, e, "%.*s is an ExternalName for %s",
                    STR_ARG(l->want.route->name.service), l->external.route->name.text);
    log_debug(l->want.id, "no connection", LOG_S("reason", diag_text(&l->lease->why, e)));
    if (e == ERR_CREDENTIALS)
        note_words(l);
    if (e == ERR_FORBIDDEN)
        missing_note(&l->owner->missing, l->lease, l->want.id);
    settle(l, LEASE_FAILED, e);
    return LEASE_FAILED;
}

static void note_error(struct leasing *l, const struct api_error *error, bool dialling)
{
    struct lease *lease = l->lease;
    lease->why = error->why;
    lease->api_status = error->status;
    lease->retry_after = error->retry_after;
    lease->dialling = dialling;
}

/* Not now: wait for a change, for a while. */
static enum lease_state park(struct leasing *l, enum err e)
{
    struct sched *sched = l->owner->sched;

    l->reason = e;
    if (l->want.wait_until <= sched->now)
        return fail(l, e);
    if (!l->parked_once) {
        l->parked_once = true;
        metric_add_for(&metric_parked, l->owner->settings.cluster, 0, 1);
        log_info(l->want.id, "waiting for an endpoint",
                 LOG_V("service", route_of(l)->name.service),
                 LOG_V("namespace", route_of(l)->name.ns),
                 LOG_S("reason", diag_text(&l->lease->why, e)));
    }
    l->failures = 0;
    timer_set(&l->retry, RETRY_MS);
    return LEASE_PARKED;
}

/* ---- succeeding ---- */

static uint64_t patience_ms(const struct leasing *l)
{
    bool repeatable = l->want.repeatable && l->want.proto == PROTO_HTTP1;
    return repeatable ? PATIENCE_MS : l->owner->settings.silence_ms;
}

static enum lease_state hold(struct leasing *l, const struct pooled *connection,
                             enum source source)
{
    struct lease *lease = l->lease;
    struct stream *s = connection->stream;

    lease->stream = s;
    lease->via = connection->via;
    lease->reused = source == SOURCE_IDLE;
    l->idle_ms = connection->idle_ms;
    l->held_at = l->owner->sched->now;
    lease->why.text[0] = '\0';
    s->wake = l->wake;
    stream_set_patience(s, patience_ms(l));
    count_lease(l->owner, source);
    balance_begin(l->owner->balance, lease->endpoint);
    allowed_note(&l->owner->allowed, route_of(l)->name.ns);
    settle(l, LEASE_HELD, OK);
    return LEASE_HELD;
}

static uint16_t port_on(const struct choice *c, const struct endpoint *e)
{
    return route_container_port(c->route, c->service, e, c->port_index);
}

static bool take_paired(struct leasing *l, const struct endpoint *e, struct pooled *ret)
{
    struct lease *lease = l->lease;

    lease->pair = 0;
    if (!l->want.pair ||
        !pool_take_paired(l->owner->pool, e, lease->port, l->want.pair, ret))
        return false;
    lease->pair = l->want.pair;
    return true;
}

/* False: no idle connection to it may be used. */
static bool take_idle(struct leasing *l, const struct choice *c, struct endpoint *e,
                      struct pooled *ret)
{
    struct upstream *u = l->owner;
    struct pool_want want = { .repeatable = l->want.repeatable, .alone = l->want.alone };
    struct lease *lease = l->lease;

    set_endpoint(l, e);
    lease->port = port_on(c, e);
    log_debug(l->want.id, "pod chosen", LOG_S("pod", e->pod), LOG_U("port", lease->port));
    if (l->want.proto != PROTO_HTTP1)
        return false;
    if (!take_paired(l, e, ret) && !pool_take(u->pool, e, lease->port, want, ret))
        return false;
    stream_set_alone(ret->stream, l->want.alone);
    stream_lend(ret->stream, true);
    return true;
}

/* To an endpoint that has no idle connection. */
static enum lease_state open_one(struct leasing *l, struct endpoint *e)
{
    l->opening.alone = l->want.alone;
    l->opening.small = l->want.small;
    connectors_open(&l->owner->connectors, e, l->lease->port, &l->opening, &l->step);
    if (l->opening.result == ERR_AGAIN && l->want.proto == PROTO_HTTP1)
        waiters_add(&l->owner->waiters, &l->waiter, e, l->lease->port, l->want.alone);
    return LEASE_OPENING;
}

/* ---- looking up ---- */

static enum lease_state no_endpoint(struct leasing *l, const struct service *s,
                                    size_t port_index)
{
    const struct upstream *u = l->owner;

    l->lease->dialling = false;
    struct no_endpoint because =
        no_endpoint_cause(route_of(l), s, port_index, u->sched->now, &l->lease->why);
    return because.may_pass ? park(l, because.result) : fail(l, because.result);
}

/* A small request takes an endpoint that needs no dial; the dial happens beside it, and
 * another ready endpoint is prepared when the request is over. */
static struct endpoint *choose_at_once(struct leasing *l, const struct choice *c,
                                       struct endpoint *chosen)
{
    struct upstream *u = l->owner;
    struct at_once a = { u->pool, &u->connectors, u->balance, l->want.repeatable };

    l->want.small = l->want.small && !at_once_carries_much(&a, c->service);
    if (!l->want.small)
        return chosen;
    struct endpoint *e = at_once_choose(&a, c, chosen);
    if (e != chosen) {
        connector_make_room(connectors_for(&u->connectors, chosen), chosen->key);
        at_once_prepare(&a, u->sched->now, chosen);
    }
    struct endpoint *second =
        u->settings.prepare_second ? at_once_second(&a, c, e) : NULL;
    endpoint_unref(l->second);
    l->second = second ? endpoint_ref(second) : NULL;
    l->prewarm = at_once_lacks_more(&a, c, e);
    return e;
}

static enum lease_state connect_to(struct leasing *l, const struct choice *c,
                                   struct endpoint *chosen)
{
    struct pooled idle;
    bool found = take_idle(l, c, chosen, &idle);
    struct endpoint *e = found ? chosen : choose_at_once(l, c, chosen);

    if (e != chosen)
        found = take_idle(l, c, e, &idle);
    return found ? hold(l, &idle, SOURCE_IDLE) : open_one(l, e);
}

/* The pod at the other end of a paired connection, as long as the route leads there. */
static struct endpoint *choose_paired(const struct leasing *l, const struct choice *c)
{
    const struct service *s = c->service;

    for (size_t i = 0; l->want.pair && i < s->endpoint_count; i++) {
        struct endpoint *e = s->endpoints[i];
        if (balance_may_choose(l->owner->balance, c, e) &&
            pool_has_paired(l->owner->pool, e, port_on(c, e), l->want.pair))
            return e;
    }
    return NULL;
}

static enum lease_state in_lookup(struct leasing *l);

/* To what an ExternalName is another name of; the look-ups on the way are at most as many as
 * external_follow allows. */
static enum lease_state follow(struct leasing *l)
{
    const struct upstream *u = l->owner;
    const struct external_rules rules = { .zone = u->settings.zone,
                                          .found_zone = u->found_zone,
                                          .opens = u->settings.opens,
                                          .owner = u->settings.opens_owner };
    enum err e = external_follow(&l->external, &rules, route_of(l), l->lookup.service,
                                 l->want.same_ns, &l->lease->why);

    if (e)
        return fail(l, e);
    log_debug(l->want.id, "external name",
              LOG_S("leads_to", l->external.route->name.text));
    ask(l, FRESH_MS);
    return in_lookup(l);
}

static bool is_alias(const struct leasing *l)
{
    return l->lookup.service->kind == SERVICE_EXTERNAL &&
           route_of(l)->name.kind == NAME_SERVICE;
}

static enum lease_state choose(struct leasing *l)
{
    struct upstream *u = l->owner;
    const struct service *s = l->lookup.service;
    struct choice c = { .route = route_of(l),
                        .service = s,
                        .client = l->want.client,
                        .avoid = l->avoid,
                        .own = &u->settings.own,
                        .listeners = &u->settings.listeners };
    enum err e = route_port(c.route, s, &c.port_index, &l->lease->why);

    l->lease->has_pods = s->pods_seen || s->endpoint_count;
    if (!e)
        e = loops_check(&c, &l->lease->why);
    if (e)
        return fail(l, e);
    struct endpoint *chosen = choose_paired(l, &c);
    if (!chosen)
        chosen = balance_choose(u->balance, &c);
    return chosen ? connect_to(l, &c, chosen) : no_endpoint(l, s, c.port_index);
}

static bool may_pass(const struct leasing *l, enum err e)
{
    if (e == ERR_FORBIDDEN || e == ERR_UNAUTHORIZED)
        return allowed_lately(&l->owner->allowed, route_of(l)->name.ns);
    return e != ERR_NOT_FOUND && e != ERR_CONFIG && e != ERR_LIMIT && e != ERR_TLS;
}

static void note_missing(struct leasing *l, const char *verb, const char *resource)
{
    struct lease *lease = l->lease;

    lease->missing_verb = verb;
    lease->missing_resource = resource;
    snprintf(lease->missing_ns, sizeof(lease->missing_ns), "%.*s",
             STR_ARG(route_of(l)->name.ns));
}

static enum lease_state in_lookup(struct leasing *l)
{
    const struct lookup *found = &l->lookup;

    if (found->result == ERR_AGAIN)
        return LEASE_LOOKUP;
    if (found->result == OK)
        return is_alias(l) ? follow(l) : choose(l);
    note_error(l, &found->error, false);
    note_missing(l, found->missing_verb, found->missing_resource);
    return may_pass(l, found->result) ? park(l, found->result) : fail(l, found->result);
}

/* ---- opening ---- */

static enum lease_state look_again(struct leasing *l, uint64_t max_age_ms)
{
    external_finish(&l->external); /* it may lead elsewhere by now */
    ask(l, max_age_ms);
    return LEASE_LOOKUP;
}

static void avoid_this(struct leasing *l)
{
    endpoint_unref(l->avoid);
    l->avoid = endpoint_ref(l->lease->endpoint);
}

/* A 404 of a kubelet or a proxy speaks of something else. */
static bool names_the_pod(const struct leasing *l, const struct api_error *error)
{
    return error->code == ERR_NOT_FOUND && error->is_status &&
           strstr(error->why.text, l->lease->endpoint->pod);
}

static enum lease_state opening_failed(struct leasing *l, enum err e)
{
    const struct api_error *error = &l->opening.error;
    bool tried_before = l->avoid != NULL; /* any of them: two would take turns for ever */
    bool missing = names_the_pod(l, error); /* and then it will not be chosen again */

    note_error(l, error, true);
    if (e == ERR_FORBIDDEN)
        note_missing(l, "create", "pods/portforward");
    if (!may_pass(l, e) && !(e == ERR_NOT_FOUND))
        return fail(l, e);
    if (missing)
        catalog_note_missing(l->owner->catalog, l->lease->endpoint);
    bool enough = ++l->failures == TRIES;
    avoid_this(l);
    if ((tried_before && !missing) || enough)
        return park(l, e);
    return look_again(l, e == ERR_NOT_FOUND ? 0 : FRESH_MS);
}

static enum lease_state in_opening(struct leasing *l)
{
    struct upstream *u = l->owner;
    struct opening *o = &l->opening;
    enum err e = o->result;

    if (e == ERR_AGAIN)
        return LEASE_OPENING;
    if (connectors_on_result(&u->connectors, l->lease->endpoint, o))
        return in_opening(l);
    waiters_remove(&l->waiter);
    if (e)
        return opening_failed(l, e);
    bool direct = o->connector == u->connectors.direct;
    struct pooled fresh = { .stream = TAKE(o->stream), .via = o->via };
    return hold(l, &fresh, direct ? SOURCE_DIRECT : SOURCE_TUNNEL);
}

/* ---- the machine ---- */

static enum lease_state in_parked(struct leasing *l)
{
    bool changed = l->lookup.result == OK || l->lookup.result == ERR_AGAIN;
    bool watching = lookup_is_watched(&l->lookup);
    if (!changed && !watching)
        return LEASE_PARKED;
    return look_again(l, watching ? FRESH_MS : RETRY_MS);
}

static enum lease_state run_state(struct leasing *l)
{
    switch (l->state) {
    case LEASE_LOOKUP:
        return in_lookup(l);
    case LEASE_OPENING:
        return in_opening(l);
    case LEASE_PARKED:
        return in_parked(l);
    case LEASE_HELD:
    case LEASE_FAILED:
        break;
    }
    return l->state;
}

/* Run states until one waits; true when the lease has its answer. */
static bool run(struct leasing *l)
{
    for (int i = 0; i < 8; i++) {
        enum lease_state next = run_state(l);
        if (next == LEASE_HELD || next == LEASE_FAILED)
            return true;
        bool waits = next == l->state || next == LEASE_PARKED;
        l->state = next;
        if (waits)
            return false;
    }
    task_yield(&l->step);
    return false;
}

static void on_step(struct task *task)
{
    struct leasing *l = container_of(task, struct leasing, step);
    if (l->state == LEASE_HELD || l->state == LEASE_FAILED)
        return;
    if (run(l))
        task_wake(l->wake);
}

static void stop_opening(struct leasing *l)
{
    waiters_remove(&l->waiter);
    opening_finish(&l->opening);
    l->opening = (struct opening){ 0 };
}

static void on_retry(struct timer *timer)
{
    struct leasing *l = container_of(timer, struct leasing, retry);
    if (l->state == LEASE_PARKED)
        l->state = look_again(l, NEWS_MS);
    task_wake(&l->step);
}

/* The first look-up or dial is under way still.  What the watches know of the API server
 * is more than that it is late. */
static enum err note_late(struct leasing *l)
{
    struct api_error trouble = { .code = OK };
    bool looking_up = l->state == LEASE_LOOKUP;

    if (connectors_lack_credentials(&l->owner->connectors, &l->lease->why))
        return ERR_CREDENTIALS;
    if (looking_up && !catalog_ready(l->owner->catalog, &trouble) && trouble.code) {
        note_error(l, &trouble, false);
        return trouble.code;
    }
    l->lease->dialling = !looking_up;
    return diag_set(&l->lease->why, ERR_TIMEOUT, "the API server did not answer in time");
}

static void on_late(struct timer *timer)
{
    struct leasing *l = container_of(timer, struct leasing, late);
    enum err e = l->reason;

    if (l->state == LEASE_HELD || l->state == LEASE_FAILED)
        return;
    if (l->state == LEASE_OPENING && !l->extended && opening_progresses(&l->opening)) {
        l->extended =
            true; /* a burst: the API server answers, one dial after the other */
        timer_set(&l->late, l->owner->settings.attempt_ms);
        return;
    }
    if (!l->parked_once)
        e = note_late(l);
    stop_opening(l);
    fail(l, e);
    task_wake(l->wake);
}

static struct leasing *leasing_get(struct upstream *u)
{
    struct leasing *l;

    if (list_empty(&u->spares)) {
        l = xcalloc(1, sizeof(*l));
        list_init(&l->node);
        task_init(&l->step, u->sched, RANK_WORK, on_step);
        timer_init(&l->late, u->sched, on_late);
        timer_init(&l->retry, u->sched, on_retry);
        l->owner = u;
    } else {
        l = list_first(&u->spares, struct leasing, node);
        list_remove(&l->node);
        u->spare_count--;
    }
    list_append(&u->leases, &l->node);
    u->lease_count++;
    return l;
}

static void leasing_put(struct leasing *l)
{
    struct upstream *u = l->owner;

    task_cancel(&l->step);
    timer_stop(&l->late);
    timer_stop(&l->retry);
    lookup_finish(&l->lookup);
    stop_opening(l);
    endpoint_unref(TAKE(l->avoid));
    endpoint_unref(TAKE(l->second));
    free(TAKE(l->words));
    external_finish(&l->external);
    l->prewarm = false;
    list_remove(&l->node);
    u->lease_count--;
    if (u->spare_count < SPARES_MAX) {
        l->lookup = (struct lookup){ 0 };
        l->parked_once = l->extended = false;
        list_append(&u->spares, &l->node);
        u->spare_count++;
    } else {
        free(l);
    }
    if (u->drained && u->lease_count == 0)
        task_wake(u->drained);
}

/* A pod that is going away refuses before the cluster says so. */
static uint64_t pause_ms(unsigned attempt)
{
    static const uint64_t pauses[] = { 0, 0, 100, 200, 300 };
    return pauses[attempt < ARRAY_LEN(pauses) ? attempt : ARRAY_LEN(pauses) - 1];
}

/* The wait covers look-ups and dials too.  Without one, a single attempt gets its time. */
static uint64_t give_up_at(const struct upstream *u, const struct want *want)
{
    uint64_t now = u->sched->now;
    return want->wait_until > now ? want->wait_until : now + u->settings.attempt_ms;
}

void upstream_lease(struct upstream *u, const struct want *want, struct lease *lease,
                    struct task *wake)
{
    struct leasing *l = leasing_get(u);

    assert(!lease->private);
    lease->private = l;
    lease->words = NULL;
    lease->result = ERR_AGAIN;
    l->lease = lease;
    l->want = *want;
    l->wake = wake;
    l->avoid = want->avoid ? endpoint_ref(want->avoid) : NULL;
    l->want.avoid = NULL;
    l->state = LEASE_LOOKUP;
    l->failures = 0;
    timer_set_at(&l->late, give_up_at(u, want));
    uint64_t pause = pause_ms(want->attempt);
    if (pause) {
        l->state = LEASE_PARKED;
        timer_set(&l->retry, pause);
        return;
    }
    ask(l, want->avoid ? NEWS_MS : FRESH_MS);
    run(l);
}

/* The oldest request that waits for a tunnel to the same port of the same pod and may have
 * this connection.  One whose tunnel has just opened does not wait any more. */
static struct leasing *find_opening(struct upstream *u, const struct lease *like,
                                    const struct stream *s)
{
    while (u->waiters.queues.count && stream_is_free(s, false)) {
        bool shared = !stream_is_free(s, true);
        struct waiter *w =
            waiters_oldest(&u->waiters, like->endpoint, like->port, shared);
        struct leasing *l = w ? container_of(w, struct leasing, waiter) : NULL;
        if (!l)
            return NULL;
        if (l->opening.result == ERR_AGAIN)
            return pool_trusts(u->pool, like->endpoint, like->port, l->want.repeatable)
                       ? l
                       : NULL;
        waiters_remove(w);
    }
    return NULL;
}

/* A connection that is free again need not lie in the pool while others wait. */
static void hand_over(struct leasing *l, struct stream *s, struct log_id via)
{
    struct pooled connection = { .stream = s, .via = via };

    stop_opening(l);
    hold(l, &connection, SOURCE_IDLE);
    task_wake(l->wake);
}

/* What a connection that was idle tells of how long the pod keeps one. */
static void learn(struct upstream *u, const struct leasing *l, enum verdict verdict)
{
    const struct lease *lease = l->lease;
    uint64_t seen_ms = l->idle_ms + (u->sched->now - l->held_at);

    if (lease->unanswered && lease->reused && (verdict == V_CLEAN || verdict == V_RESET))
        pool_on_failure(u->pool, lease->endpoint, lease->port, l->idle_ms, seen_ms);
}

/* Its packets stay away: the other idle connections to it would fail one by one. */
static void lose(struct upstream *u, const struct endpoint *e)
{
    pool_drop_pod(u->pool, e->key);
    connectors_on_lost(&u->connectors, e);
}

static void give_back(struct upstream *u, struct lease *lease, enum release_mode release)
{
    struct stream *s = TAKE(lease->stream);
    bool keep = release == RELEASE_KEEP && s->end.verdict == V_OPEN && !s->broken &&
                !s->shut && bufq_empty(&s->in) && bufq_empty(&s->out) && !u->drained &&
                stream_is_reusable(s);

    learn(u, lease->private, s->end.verdict);
    if (s->end.verdict == V_TRANSPORT_LOST && lease_is_direct(lease))
        lose(u, lease->endpoint);
    if (s->end.verdict == V_REFUSED)
        balance_on_refusal(u->balance, lease->endpoint, lease->port);
    else if (release != RELEASE_ABORT)
        balance_on_answer(u->balance, lease->endpoint, lease->port);
    balance_end(u->balance, lease->endpoint);
    s->wake = NULL;
    if (keep)
        stream_lend(s, false);
    struct leasing *next = keep && !lease->pair ? find_opening(u, lease, s) : NULL;
    if (next) {
        stream_set_alone(s, next->want.alone);
        stream_lend(s, true);
        hand_over(next, s, lease->via);
    } else if (keep) {
        pool_put(u->pool, lease, s, lease->private->idle_ms);
    } else if (release == RELEASE_ABORT) {
        stream_abort(s);
    } else {
        stream_close(s);
    }
}

void upstream_lease_move(struct lease *from, struct lease *to, struct str client,
                         struct task *wake)
{
    struct leasing *l = from->private;

    assert(!to->private);
    *to = *from;
    *from = (struct lease){ 0 };
    if (!l)
        return; /* it failed before it reached us */
    l->lease = to;
    l->want.client = client;
    l->wake = wake;
    if (to->stream)
        to->stream->wake = wake;
}

/* The service is in use: what comes next should find a tunnel, also to a second endpoint. */
static void prepare(struct leasing *l)
{
    struct upstream *u = l->owner;

    if (l->prewarm)
        connector_prewarm(connectors_for(&u->connectors, l->lease->endpoint),
                          l->lease->endpoint->key);
    if (l->second)
        at_once_prepare(&(struct at_once){ .connectors = &u->connectors }, u->sched->now,
                        l->second);
}

void upstream_unpair(struct upstream *u, uint64_t pair)
{
    pool_drop_pair(u->pool, pair);
}

void upstream_return(struct lease *lease, enum release_mode release)
{
    struct leasing *l = lease->private;

    if (!l)
        return;
    if (lease->stream)
        give_back(l->owner, lease, release);
    if (release != RELEASE_ABORT && l->state == LEASE_HELD)
        prepare(l);
    endpoint_unref(TAKE(lease->endpoint));
    leasing_put(l);
    *lease = (struct lease){ 0 };
}

static void on_gone(void *owner, const char *pod_key)
{
    struct upstream *u = owner;
    pool_drop_pod(u->pool, pod_key);
    connectors_retire(&u->connectors, pod_key);
    balance_forget(u->balance, pod_key);
}

static void on_change(void *owner, const struct service *before,
                      const struct service *after)
{
    struct upstream *u = owner;
    prewarming_on_change(u->prewarming, before, after);
}

struct upstream *upstream_create(struct loop *loop, struct catalog *catalog,
                                 const struct upstream_connectors *connectors,
                                 const struct upstream_settings *settings)
{
    struct upstream *u = xcalloc(1, sizeof(*u));

    metrics_register(&metric_parked);
    metrics_register(&metric_leases);
    u->loop = loop;
    u->sched = loop_sched(loop);
    u->catalog = catalog;
    connectors_init(&u->connectors, u->sched, connectors, settings->cluster);
    u->settings = *settings;
    u->pool = pool_create(u->sched, &u->connectors, settings->idle_ms, settings->cluster);
    u->balance = balance_create(u->sched);
    allowed_init(&u->allowed, u->sched);
    missing_init(&u->missing);
    waiters_init(&u->waiters);
    list_init(&u->leases);
    list_init(&u->spares);
    u->prewarming = prewarming_create(u->sched, &u->connectors, &u->settings.own);
    catalog_on_gone(catalog, on_gone, u);
    catalog_on_change(catalog, on_change, u);
    return u;
}

void upstream_set_zone(struct upstream *u, const char *found)
{
    free(u->found_zone);
    u->found_zone = xstrdup(found);
}

static void free_spares(struct upstream *u)
{
    while (!list_empty(&u->spares)) {
        struct leasing *l = list_first(&u->spares, struct leasing, node);
        list_remove(&l->node);
        free(l);
    }
    u->spare_count = 0;
}

void upstream_trim(struct upstream *u)
{
    free_spares(u);
    pool_trim(u->pool);
    balance_trim(u->balance);
}

static void cancel_lease(struct leasing *l)
{
    stop_opening(l);
    diag_set(&l->lease->why, ERR_CANCELLED,
             "the server or the credentials of the context changed");
    fail(l, ERR_CANCELLED);
    task_wake(l->wake);
}

void upstream_drain(struct upstream *u, struct task *done)
{
    u->drained = done;
    pool_clear(u->pool);
    list_for_each (l, &u->leases, struct leasing, node)
        if (l->state != LEASE_HELD && l->state != LEASE_FAILED)
            cancel_lease(l);
    if (u->lease_count == 0)
        task_wake(done);
}

bool upstream_idle(const struct upstream *u)
{
    return u->lease_count == 0;
}

void upstream_destroy(struct upstream *u)
{
    if (!u)
        return;
    assert(list_empty(&u->leases));
    catalog_on_gone(u->catalog, NULL, NULL);
    catalog_on_change(u->catalog, NULL, NULL);
    prewarming_destroy(u->prewarming);
    pool_destroy(u->pool);
    balance_destroy(u->balance);
    waiters_finish(&u->waiters);
    allowed_finish(&u->allowed);
    missing_finish(&u->missing);
    connectors_finish(&u->connectors);
    free_spares(u);
    free(u->found_zone);
    free(u);
}
