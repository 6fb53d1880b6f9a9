#include "upstream/leasing.h"

#include <assert.h>
#include <stdio.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "upstream/loops.h"
#include "upstream/no_endpoint.h"
#include "upstream/tls_failure.h"

LOG_MODULE(upstream);

#define RETRY_MS 250         /* interval of look-ups while parked */
#define RETRY_MAX_AGE_MS 250 /* maximum age of a look-up's result after a failure ... */
#define MAX_AGE_MS 3000      /* ... and otherwise */
#define TRIES 3              /* openings that fail in a row before the lease is parked */
#define ACK_TIMEOUT_MS 600   /* of TCP, for a request that may be sent again */

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
    .values = { "idle", "tunnel", "direct", "failed", "shared" },
};

enum source { SOURCE_IDLE, SOURCE_TUNNEL, SOURCE_DIRECT, SOURCE_FAILED, SOURCE_SHARED };

static void count_lease(const struct leasing *l, enum source source)
{
    metric_add_for(&metric_leases, l->parts->settings.cluster, source, 1);
}

static struct sched *sched_of(const struct leasing *l)
{
    return l->parts->choosing.sched;
}

static struct connectors *connectors_of(const struct leasing *l)
{
    return l->parts->choosing.connectors;
}

static const struct route *route_of(const struct leasing *l)
{
    return search_route(&l->search);
}

static bool is_settled(const struct leasing *l)
{
    return l->state == LEASE_HELD || l->state == LEASE_FAILED;
}

static void settle(struct leasing *l, enum lease_state state, enum err result)
{
    timer_stop(&l->late);
    timer_stop(&l->retry);
    search_end_lookup(&l->search);
    l->state = state;
    l->lease->result = result;
}

/* ---- failing ---- */

static void note_plugin_output(struct leasing *l)
{
    free(l->plugin_output);
    l->plugin_output = xstrdup_or_null(connectors_plugin_output(connectors_of(l)));
    l->lease->plugin_output = l->plugin_output;
}

static struct str shown_name(const struct leasing *l)
{
    const struct name *n = &l->want.route->name;
    return n->kind == NAME_ADDRESS ? str_of(n->address) : n->service;
}

static enum lease_state fail(struct leasing *l, enum err e)
{
    /* Without a TLS port TLS of the client ends in serve/, whose requests have leases. */
    if (e != ERR_NO_PORT || !route_of(l)->tls)
        count_lease(l, SOURCE_FAILED);
    if (search_was_redirected(&l->search))
        diag_prefix(&l->lease->why, e, "%.*s is an %s %s", STR_ARG(shown_name(l)),
                    l->want.route->name.kind == NAME_ADDRESS ? "address of"
                                                             : "ExternalName for",
                    route_of(l)->name.text);
    log_debug(l->want.id, "no connection", LOG_S("reason", diag_text(&l->lease->why, e)));
    if (e == ERR_CREDENTIALS)
        note_plugin_output(l);
    if (e == ERR_FORBIDDEN)
        missing_note(&l->parts->missing, l->lease, l->want.id);
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

static void note_missing(struct leasing *l, const char *verb, const char *resource)
{
    struct lease *lease = l->lease;

    lease->missing_verb = verb;
    lease->missing_resource = resource;
    snprintf(lease->missing_ns, sizeof(lease->missing_ns), "%.*s",
             STR_ARG(route_of(l)->name.ns));
}

static bool may_pass(const struct leasing *l, enum err e)
{
    if (e == ERR_FORBIDDEN || e == ERR_UNAUTHORIZED)
        return allowed_lately(&l->parts->allowed, route_of(l)->name.ns);
    return e != ERR_NOT_FOUND && e != ERR_CONFIG && e != ERR_LIMIT && e != ERR_TLS &&
           e != ERR_ACCESS;
}

/* Wait for a change of the service or the next retry, unless the wait is over. */
static enum lease_state park(struct leasing *l, enum err e)
{
    l->reason = e;
    if (l->want.wait_until <= sched_of(l)->now)
        return fail(l, e);
    if (!l->parked_once) {
        l->parked_once = true;
        metric_add_for(&metric_parked, l->parts->settings.cluster, 0, 1);
        log_info(l->want.id, "waiting for an endpoint",
                 LOG_V("service", route_of(l)->name.service),
                 LOG_V("namespace", route_of(l)->name.ns),
                 LOG_S("reason", diag_text(&l->lease->why, e)));
    }
    l->failures = 0;
    timer_set(&l->retry, RETRY_MS);
    return LEASE_PARKED;
}

/* Fail, or park if the error may pass. */
static enum lease_state fail_or_park(struct leasing *l, enum err e)
{
    return may_pass(l, e) ? park(l, e) : fail(l, e);
}

/* ---- succeeding ---- */

static uint64_t ack_timeout_ms(const struct leasing *l)
{
    bool repeatable = l->want.repeatable && !l->lease->is_shared;
    return repeatable ? ACK_TIMEOUT_MS : l->parts->settings.silence_ms;
}

static enum lease_state hold_message(struct leasing *l, struct message_stream *message,
                                     const struct pooled *connection, enum source source)
{
    struct lease *lease = l->lease;
    struct stream *s = connection->stream;

    lease->stream = s;
    lease->via = connection->via;
    lease->reused = source == SOURCE_IDLE || source == SOURCE_SHARED;
    lease->message = message;
    l->idle_ms = connection->idle_ms;
    l->held_at = lease->held_at = sched_of(l)->now;
    lease->why.text[0] = '\0';
    s->wake = l->wake;
    stream_set_patience(s, ack_timeout_ms(l));
    count_lease(l, source);
    balance_begin(l->parts->choosing.balance, lease->endpoint);
    allowed_note(&l->parts->allowed, route_of(l)->name.ns);
    settle(l, LEASE_HELD, OK);
    return LEASE_HELD;
}

/* Use this connection for this request only.  The bytes on a raw one may be HTTP/1. */
static enum lease_state hold(struct leasing *l, const struct pooled *connection,
                             enum source source)
{
    h1_client_begin(&l->h1, connection->stream);
    return hold_message(l, &l->h1.message, connection, source);
}

/* ---- sharing HTTP/2 connections ---- */

static struct h2_pool *h2_pool_of(const struct leasing *l)
{
    return l->parts->choosing.h2_pool;
}

/* Take a stream of an open HTTP/2 connection; LEASE_OPENING: none has room. */
static enum lease_state take_shared_stream(struct leasing *l, enum source source)
{
    struct lease *lease = l->lease;
    struct pooled connection = { 0 };
    struct message_stream *m =
        h2_pool_take(h2_pool_of(l), lease->endpoint, lease_use(lease), l->want.certain,
                     &connection.via);

    if (!m)
        return LEASE_OPENING;
    connection.stream = m->bytes;
    lease->is_shared = true;
    return hold_message(l, m, &connection, source);
}

/* A connection is being opened, or one may be used when its SETTINGS have come. */
static bool must_join(const struct leasing *l)
{
    const struct endpoint *e = l->lease->endpoint;
    struct port_use use = lease_use(l->lease);

    return h2_pool_is_opening(h2_pool_of(l), e, use) ||
           (l->want.certain && h2_pool_awaits_settings(h2_pool_of(l), e, use));
}

static enum lease_state join_opening(struct leasing *l)
{
    l->joined = true;
    h2_pool_wait(h2_pool_of(l), l->lease->endpoint, lease_use(l->lease), &l->sharing,
                 &l->step);
    return LEASE_OPENING;
}

/* Open an HTTP/2 connection, or wait for the one that another request is opening. */
static enum lease_state open_shared(struct leasing *l)
{
    struct endpoint *e = l->lease->endpoint;
    struct port_use use = lease_use(l->lease);

    if (must_join(l))
        return join_opening(l);
    l->opens_shared = true;
    h2_pool_begin_opening(h2_pool_of(l), e, use);
    l->opening.alone = true; /* it will carry many requests, for a long time */
    l->opening.small = false;
    connectors_open(connectors_of(l), e, use.port, &l->opening, &l->step);
    return LEASE_OPENING;
}

static bool must_upgrade_in_http1(const struct leasing *l)
{
    const struct lease *lease = l->lease;

    return l->want.upgrade &&
           h2_pool_lacks_connect(h2_pool_of(l), lease->endpoint, lease_use(lease));
}

static enum lease_state open_one(struct leasing *l);

/* The port may speak HTTP/1, too. */
static enum lease_state upgrade_in_http1(struct leasing *l)
{
    const struct lease *lease = l->lease;

    if (h2_pool_lacks_http1(h2_pool_of(l), lease->endpoint, lease_use(lease)))
        return fail(l, diag_set(&l->lease->why, ERR_VERSION,
                                "port %u of pod %s speaks HTTP/2 only, and accepts no "
                                "WebSockets in it (extended CONNECT, RFC 8441)",
                                lease->port, lease->endpoint->pod));
    return open_one(l);
}

static enum lease_state fail_without_http2(struct leasing *l)
{
    const struct lease *lease = l->lease;

    return fail(l, diag_set(&l->lease->why, ERR_VERSION,
                            "port %u of pod %s does not speak HTTP/2", lease->port,
                            lease->endpoint->pod));
}

static enum lease_state share(struct leasing *l, enum speaks speaks)
{
    if (must_upgrade_in_http1(l))
        return upgrade_in_http1(l);
    if (speaks == SPEAKS_HTTP1)
        return fail_without_http2(l);
    if (take_shared_stream(l, SOURCE_SHARED) == LEASE_HELD)
        return LEASE_HELD;
    return open_shared(l);
}

static void end_shared_opening(struct leasing *l)
{
    h2_waiter_leave(&l->sharing);
    l->joined = false;
    if (!l->opens_shared)
        return;
    l->opens_shared = false;
    h2_pool_end_opening(h2_pool_of(l), l->lease->endpoint, lease_use(l->lease));
}

/* To an endpoint that has no idle connection. */
static enum lease_state open_one(struct leasing *l)
{
    struct lease *lease = l->lease;

    l->opening.alone = l->want.alone;
    l->opening.small = l->want.small;
    connectors_open(connectors_of(l), lease->endpoint, lease->port, &l->opening,
                    &l->step);
    if (l->opening.result == ERR_AGAIN && l->want.proto != PROTO_RAW)
        waiters_add(&l->parts->waiters, &l->waiter, lease->endpoint, lease_use(lease),
                    l->want.alone);
    return LEASE_OPENING;
}

/* ---- looking up and choosing ---- */

static enum lease_state no_endpoint(struct leasing *l, const struct service *s,
                                    size_t port_index)
{
    l->lease->dialling = false;
    struct no_endpoint because =
        no_endpoint_cause(route_of(l), s, port_index, sched_of(l)->now, &l->lease->why);
    return because.may_pass ? park(l, because.result) : fail(l, because.result);
}

static enum lease_state connect_to(struct leasing *l, const struct chosen *chosen)
{
    struct lease *lease = l->lease;

    endpoint_unref(lease->endpoint);
    endpoint_unref(l->second);
    lease->endpoint = chosen->endpoint;
    lease->port = chosen->port;
    lease->tls = securing_number(&l->securing);
    lease->pair = chosen->is_paired ? l->want.pair : 0;
    l->want.small = chosen->small;
    l->second = chosen->second;
    l->prewarm = chosen->prewarm;
    lease->opening_at = sched_of(l)->now;
    if (chosen->is_shared)
        return share(l, chosen->speaks);
    return chosen->is_idle ? hold(l, &chosen->idle, SOURCE_IDLE) : open_one(l);
}

static enum lease_state choose(struct leasing *l)
{
    struct leasing_parts *p = l->parts;
    const struct service *s = l->search.lookup.service;
    struct choice c = { .route = route_of(l),
                        .service = s,
                        .client = l->want.client,
                        .avoid = l->avoid,
                        .own = &p->settings.own,
                        .listeners = &p->settings.listeners };
    struct chosen chosen = { 0 };
    enum err e = route_port(c.route, s, &c.port_index, &l->lease->why);

    if (!l->lease->found_at)
        l->lease->found_at = sched_of(l)->now;
    l->lease->has_pods = s->pods_seen || s->endpoint_count;
    if (!e)
        e = loops_check(&c, &l->lease->why);
    if (e)
        return fail(l, e);
    if (l->want.proto == PROTO_RAW) /* its bytes are passed on as they are */
        l->lease->expects_tls = tls_ports_has(p->tls_ports, c.route, s, c.port_index);
    else
        securing_choose(&l->securing, p->tls_ports, &c);
    if (!choosing_run(&p->choosing, &l->want, &c, &chosen))
        return no_endpoint(l, s, c.port_index);
    return connect_to(l, &chosen);
}

static enum lease_state in_lookup(struct leasing *l);

struct external_rules leasing_rules(const struct leasing_parts *p)
{
    return (struct external_rules){ .zone = p->settings.zone,
                                    .found_zone = p->found_zone,
                                    .is_open = p->settings.is_open,
                                    .owner = p->settings.is_open_owner };
}

/* The request names an IP address: look up the service or pod that has it. */
static enum lease_state follow_address(struct leasing *l)
{
    const struct external_rules rules = leasing_rules(l->parts);
    struct diag why = { "" };
    enum err e = search_follow_address(&l->search, &rules, MAX_AGE_MS, &why);

    if (e == ERR_AGAIN)
        return LEASE_LOOKUP;
    if (!e)
        return in_lookup(l);
    note_error(l, &l->search.owner->error, false);
    l->lease->why = why;
    return e == ERR_CLOSED ? fail(l, e) : fail_or_park(l, e);
}

/* Look up the target of an ExternalName.  external_follow limits how often. */
static enum lease_state follow(struct leasing *l)
{
    const struct external_rules rules = leasing_rules(l->parts);
    enum err e =
        search_follow(&l->search, &rules, l->want.same_ns, MAX_AGE_MS, &l->lease->why);

    if (e)
        return fail(l, e);
    log_debug(l->want.id, "external name", LOG_S("leads_to", route_of(l)->name.text));
    return in_lookup(l);
}

static enum lease_state in_lookup(struct leasing *l)
{
    const struct lookup *found = &l->search.lookup;

    if (search_is_at_address(&l->search))
        return follow_address(l);
    if (found->result == ERR_AGAIN)
        return LEASE_LOOKUP;
    if (found->result == OK)
        return search_is_at_alias(&l->search) ? follow(l) : choose(l);
    note_error(l, &found->error, false);
    note_missing(l, found->missing_verb, found->missing_resource);
    return fail_or_park(l, found->result);
}

static enum lease_state look_again(struct leasing *l, uint64_t max_age_ms)
{
    search_again(&l->search, max_age_ms);
    return LEASE_LOOKUP;
}

/* ---- opening ---- */

static void avoid_this(struct leasing *l)
{
    endpoint_unref(l->avoid);
    l->avoid = endpoint_ref(l->lease->endpoint);
}

/* Did the API server report that the pod does not exist?  A 404 from a kubelet or a proxy has
 * another meaning. */
static bool names_the_pod(const struct leasing *l, const struct api_error *error)
{
    return error->code == ERR_NOT_FOUND && error->is_status &&
           strstr(error->why.text, l->lease->endpoint->pod);
}

/* The pod does not exist, or its address may not be used: another endpoint may work. */
static bool may_choose_another(const struct leasing *l, enum err e)
{
    return e == ERR_NOT_FOUND || (e == ERR_ACCESS && !l->avoid);
}

static void note_forbidden(struct leasing *l)
{
    if (l->lease->direct)
        note_missing(l, "get", "pods");
    else
        note_missing(l, "create", "pods/portforward");
}

static enum lease_state opening_failed(struct leasing *l, enum err e)
{
    const struct api_error *error = &l->opening.error;
    bool tried_before =
        l->avoid != NULL; /* else two that fail would alternate for ever */
    bool missing = names_the_pod(l, error); /* the catalog removes the endpoint */

    note_error(l, error, true);
    l->lease->direct = l->opening.connector == connectors_of(l)->direct;
    if (e == ERR_FORBIDDEN)
        note_forbidden(l);
    if (!may_pass(l, e) && !may_choose_another(l, e))
        return fail(l, e);
    if (missing)
        catalog_note_missing(l->parts->catalog, l->lease->endpoint);
    bool enough = ++l->failures == TRIES;
    avoid_this(l);
    if ((tried_before && !missing) || enough)
        return park(l, e);
    return look_again(l, e == ERR_NOT_FOUND ? 0 : MAX_AGE_MS);
}

/* Another request has opened a connection, or has failed to: take a stream if there is room. */
static enum lease_state in_joined(struct leasing *l)
{
    if (must_upgrade_in_http1(l)) {
        end_shared_opening(l);
        return look_again(l, MAX_AGE_MS);
    }
    if (take_shared_stream(l, SOURCE_SHARED) == LEASE_HELD) {
        end_shared_opening(l);
        return LEASE_HELD;
    }
    if (must_join(l))
        return join_opening(l);
    end_shared_opening(l);
    if (l->want.certain && ++l->failures == TRIES)
        return park(l, diag_set(&l->lease->why, ERR_VERSION,
                                "port %u of pod %s ended HTTP/2 connections at once",
                                l->lease->port, l->lease->endpoint->pod));
    return look_again(l, MAX_AGE_MS);
}

static enum source source_of(const struct leasing *l)
{
    return l->opened_directly ? SOURCE_DIRECT : SOURCE_TUNNEL;
}

static enum lease_state hold_opened(struct leasing *l, struct pooled *fresh)
{
    const struct lease *lease = l->lease;
    enum source source = source_of(l);

    if (!l->opens_shared)
        return hold(l, fresh, source);
    stream_set_patience(fresh->stream, l->parts->settings.silence_ms);
    h2_pool_add(h2_pool_of(l), lease->endpoint, lease_use(lease), fresh->stream,
                fresh->via);
    enum lease_state state = take_shared_stream(l, source);
    end_shared_opening(l);
    return state == LEASE_OPENING ? join_opening(l) : state;
}

/* want.wait_until covers look-ups and dials, too.  Without a wait, one attempt may take
 * attempt_ms. */
static uint64_t give_up_at(const struct leasing *l)
{
    uint64_t now = sched_of(l)->now;
    return l->want.wait_until > now ? l->want.wait_until
                                    : now + l->parts->settings.attempt_ms;
}

/* ---- TLS ---- */

/* The protocol is the one that ALPN has chosen. */
static enum lease_state hold_secured(struct leasing *l, bool http2)
{
    struct pooled connection = l->secured;
    const struct lease *lease = l->lease;

    connection.stream = TAKE(l->securing.stream);
    if (http2)
        return hold_opened(l, &connection);
    if (l->opens_shared)
        h2_pool_learn(h2_pool_of(l), lease->endpoint, lease_use(lease), SPEAKS_HTTP1);
    end_shared_opening(l);
    if (l->want.proto != PROTO_HTTP2)
        return hold(l, &connection, source_of(l));
    stream_close(connection.stream);
    return fail_without_http2(l);
}

/* The pod or the network has ended the connection.  Its user retries, as it does with one that
 * ends before a response. */
static enum lease_state hold_ended(struct leasing *l)
{
    struct pooled connection = l->secured;

    connection.stream = TAKE(l->securing.stream);
    end_shared_opening(l);
    return hold(l, &connection, source_of(l));
}

static enum lease_state open_again(struct leasing *l)
{
    end_shared_opening(l);
    timer_set_at(&l->late, give_up_at(l));
    return look_again(l, MAX_AGE_MS);
}

static void note_tls_failure(struct leasing *l)
{
    struct lease *lease = l->lease;

    lease->tls_failure = l->securing.failure;
    lease->why = lease->tls_failure->why;
    lease->dialling = true;
    lease->direct = l->opened_directly;
}

static enum lease_state in_securing(struct leasing *l)
{
    enum secured result = securing_run(&l->securing, l->want.id);

    switch (result) {
    case SECURED_WAIT:
        return LEASE_SECURING;
    case SECURED_HTTP1:
    case SECURED_HTTP2:
        return hold_secured(l, result == SECURED_HTTP2);
    case SECURED_ENDED:
        return hold_ended(l);
    case SECURED_PLAIN:
        return open_again(l);
    case SECURED_FAILED:
        break;
    }
    note_tls_failure(l);
    end_shared_opening(l);
    return fail(l, ERR_TLS);
}

static enum lease_state secure(struct leasing *l, const struct pooled *fresh)
{
    l->secured = *fresh;
    securing_start(&l->securing, fresh->stream, l->opens_shared, &l->step);
    timer_set(&l->late, l->parts->settings.attempt_ms);
    return LEASE_SECURING;
}

static enum lease_state in_opening(struct leasing *l)
{
    struct connectors *c = connectors_of(l);
    struct opening *o = &l->opening;

    if (l->joined)
        return in_joined(l);
    if (o->result == ERR_AGAIN)
        return LEASE_OPENING;
    if (connectors_on_result(c, l->lease->endpoint, o) && o->result == ERR_AGAIN)
        return LEASE_OPENING;
    waiters_remove(&l->waiter);
    if (o->result) {
        end_shared_opening(l);
        return opening_failed(l, o->result);
    }
    bool direct = o->connector == c->direct;
    struct pooled fresh = { .stream = TAKE(o->stream), .via = o->via };
    l->opened_directly = direct;
    return l->securing.port ? secure(l, &fresh) : hold_opened(l, &fresh);
}

static void stop_opening(struct leasing *l)
{
    securing_stop(&l->securing);
    end_shared_opening(l);
    waiters_remove(&l->waiter);
    opening_finish(&l->opening);
    l->opening = (struct opening){ 0 };
}

/* ---- the machine ---- */

static enum lease_state in_parked(struct leasing *l)
{
    const struct lookup *found = &l->search.lookup;
    bool changed = found->result == OK || found->result == ERR_AGAIN;
    bool watching = lookup_is_watched(found);

    if (!changed && !watching)
        return LEASE_PARKED;
    return look_again(l, watching ? MAX_AGE_MS : RETRY_MS);
}

static enum lease_state run_state(struct leasing *l)
{
    switch (l->state) {
    case LEASE_LOOKUP:
        return in_lookup(l);
    case LEASE_OPENING:
        return in_opening(l);
    case LEASE_SECURING:
        return in_securing(l);
    case LEASE_PARKED:
        return in_parked(l);
    case LEASE_HELD:
    case LEASE_FAILED:
        break;
    }
    return l->state;
}

/* Run states until one waits; true when the lease has its result. */
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

    if (!is_settled(l) && run(l))
        task_wake(l->wake);
}

static void on_retry(struct timer *timer)
{
    struct leasing *l = container_of(timer, struct leasing, retry);

    if (l->state == LEASE_PARKED)
        l->state = look_again(l, RETRY_MAX_AGE_MS);
    task_wake(&l->step);
}

/* The wait is over while the first look-up or dial is still in progress.  If the watches have
 * failed, their error explains more than a time-out. */
static enum err note_late(struct leasing *l)
{
    struct api_error trouble = { .code = OK };
    bool looking_up = l->state == LEASE_LOOKUP;

    if (connectors_lack_credentials(connectors_of(l), &l->lease->why))
        return ERR_CREDENTIALS;
    if (looking_up && !catalog_ready(l->parts->catalog, &trouble) && trouble.code) {
        note_error(l, &trouble, false);
        return trouble.code;
    }
    l->lease->dialling = !looking_up;
    return diag_set(&l->lease->why, ERR_TIMEOUT, "the API server did not answer in time");
}

static enum err note_late_handshake(struct leasing *l)
{
    securing_give_up(&l->securing, l->want.id);
    note_tls_failure(l);
    return ERR_TIMEOUT;
}

static void on_late(struct timer *timer)
{
    struct leasing *l = container_of(timer, struct leasing, late);
    enum err e = l->reason;

    if (is_settled(l))
        return;
    if (l->state == LEASE_OPENING && !l->extended && opening_progresses(&l->opening)) {
        l->extended = true; /* the API server handles many dials one after the other */
        timer_set(&l->late, l->parts->settings.attempt_ms);
        return;
    }
    if (l->state == LEASE_SECURING)
        e = note_late_handshake(l);
    else if (!l->parked_once)
        e = note_late(l);
    stop_opening(l);
    fail(l, e);
    task_wake(l->wake);
}

/* ---- called by upstream.c ---- */

/* A pod that is being terminated refuses connections before the API server reports that it
 * is: the pauses give the API server time. */
static uint64_t pause_ms(unsigned attempt)
{
    static const uint64_t pauses[] = { 0, 0, 100, 200, 300 };
    return pauses[attempt < ARRAY_LEN(pauses) ? attempt : ARRAY_LEN(pauses) - 1];
}

void leasing_start(struct leasing *l, const struct want *want, struct lease *lease,
                   struct task *wake)
{
    assert(!lease->private);
    lease->private = l;
    lease->plugin_output = NULL;
    lease->tls_failure = NULL;
    lease->result = ERR_AGAIN;
    l->lease = lease;
    l->want = *want;
    l->wake = wake;
    l->avoid = want->avoid ? endpoint_ref(want->avoid) : NULL;
    l->want.avoid = NULL;
    l->state = LEASE_LOOKUP;
    l->failures = 0;
    timer_set_at(&l->late, give_up_at(l));
    uint64_t pause = pause_ms(want->attempt);
    if (pause) {
        search_prepare(&l->search, l->parts->catalog, l->want.route, &l->step);
        l->state = LEASE_PARKED;
        timer_set(&l->retry, pause);
        return;
    }
    search_start(&l->search, l->parts->catalog, l->want.route,
                 want->avoid ? RETRY_MAX_AGE_MS : MAX_AGE_MS, &l->step);
    run(l);
}

void leasing_take(struct leasing *l, struct stream *s, struct log_id via)
{
    struct pooled connection = { .stream = s, .via = via };

    stop_opening(l);
    hold(l, &connection, SOURCE_IDLE);
    task_wake(l->wake);
}

void leasing_cancel(struct leasing *l)
{
    if (is_settled(l))
        return;
    stop_opening(l);
    diag_set(&l->lease->why, ERR_CANCELLED, "the way to the API server has changed");
    fail(l, ERR_CANCELLED);
    task_wake(l->wake);
}

void leasing_reset(struct leasing *l)
{
    task_cancel(&l->step);
    timer_stop(&l->late);
    timer_stop(&l->retry);
    stop_opening(l);
    search_finish(&l->search);
    l->search = (struct search){ 0 };
    endpoint_unref(TAKE(l->avoid));
    endpoint_unref(TAKE(l->second));
    free(TAKE(l->plugin_output));
    securing_finish(&l->securing);
    l->prewarm = l->parked_once = l->extended = false;
    h1_client_shrink(&l->h1);
}

struct leasing *leasing_create(struct upstream *owner, struct leasing_parts *parts)
{
    struct leasing *l = xcalloc(1, sizeof(*l));
    struct sched *sched = parts->choosing.sched;

    l->owner = owner;
    l->parts = parts;
    list_init(&l->node);
    task_init(&l->step, sched, RANK_WORK, on_step);
    timer_init(&l->late, sched, on_late);
    timer_init(&l->retry, sched, on_retry);
    h1_client_init(&l->h1, (struct h1_limits){ parts->settings.max_head_size,
                                               parts->settings.max_head_fields });
    return l;
}

void leasing_destroy(struct leasing *l)
{
    if (l)
        h1_client_finish(&l->h1);
    free(l);
}

void leasing_register_metrics(void)
{
    metrics_register(&metric_parked);
    metrics_register(&metric_leases);
}
