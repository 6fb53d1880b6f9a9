#include "upstream/leasing.h"

#include <assert.h>
#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "upstream/leasing_steps.h"
#include "upstream/loops.h"
#include "upstream/no_endpoint.h"
#include "upstream/tls_failure.h"

LOG_MODULE(upstream);

#define RETRY_MAX_AGE_MS 250 /* maximum age of a look-up's result after a failure ... */

/* To an endpoint that has no idle connection. */
enum lease_state leasing_open_one(struct leasing *l)
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
    return because.may_pass ? leasing_park(l, because.result)
                            : leasing_fail(l, because.result);
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
        return leasing_share(l, chosen->speaks);
    return chosen->is_idle ? leasing_hold(l, &chosen->idle, SOURCE_IDLE)
                           : leasing_open_one(l);
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

    lookup_keep(&l->search.lookup);
    if (!l->lease->found_at)
        l->lease->found_at = sched_of(l)->now;
    l->lease->has_pods = s->pods_seen || s->endpoint_count;
    if (!e)
        e = loops_check(&c, &l->lease->why);
    if (e)
        return leasing_fail(l, e);
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
    enum err e = search_follow_address(&l->search, &rules, LEASING_MAX_AGE_MS, &why);

    if (e == ERR_AGAIN)
        return LEASE_LOOKUP;
    if (!e)
        return in_lookup(l);
    leasing_note_error(l, &l->search.owner->error, false);
    l->lease->why = why;
    return e == ERR_CLOSED ? leasing_fail(l, e) : leasing_fail_or_park(l, e);
}

/* Look up the target of an ExternalName.  external_follow limits how often. */
static enum lease_state follow(struct leasing *l)
{
    const struct external_rules rules = leasing_rules(l->parts);
    enum err e = search_follow(&l->search, &rules, l->want.same_ns, LEASING_MAX_AGE_MS,
                               &l->lease->why);

    if (e)
        return leasing_fail(l, e);
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
    leasing_note_error(l, &found->error, false);
    leasing_note_missing(l, found->missing_verb, found->missing_resource);
    return leasing_fail_or_park(l, found->result);
}

enum lease_state leasing_look_again(struct leasing *l, uint64_t max_age_ms)
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
        leasing_note_missing(l, "get", "pods");
    else
        leasing_note_missing(l, "create", "pods/portforward");
}

static enum lease_state opening_failed(struct leasing *l, enum err e)
{
    const struct api_error *error = &l->opening.error;
    bool tried_before =
        l->avoid != NULL; /* else two that fail would alternate for ever */
    bool missing = names_the_pod(l, error); /* the catalog removes the endpoint */

    leasing_note_error(l, error, true);
    l->lease->direct = l->opening.connector == connectors_of(l)->direct;
    if (e == ERR_FORBIDDEN)
        note_forbidden(l);
    if (!leasing_may_pass(l, e) && !may_choose_another(l, e))
        return leasing_fail(l, e);
    if (missing)
        catalog_note_missing(l->parts->catalog, l->lease->endpoint);
    bool enough = ++l->failures == LEASING_TRIES;
    avoid_this(l);
    if ((tried_before && !missing) || enough)
        return leasing_park(l, e);
    return leasing_look_again(l, e == ERR_NOT_FOUND ? 0 : LEASING_MAX_AGE_MS);
}

static enum source source_of(const struct leasing *l)
{
    return l->opened_directly ? SOURCE_DIRECT : SOURCE_TUNNEL;
}

static enum lease_state hold_opened(struct leasing *l, struct pooled *fresh)
{
    enum source source = source_of(l);

    return l->opens_shared ? leasing_share_opened(l, fresh, source)
                           : leasing_hold(l, fresh, source);
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
    leasing_end_shared(l);
    if (l->want.proto != PROTO_HTTP2)
        return leasing_hold(l, &connection, source_of(l));
    stream_close(connection.stream);
    return leasing_fail_without_http2(l);
}

/* The pod or the network has ended the connection.  Its user retries, as it does with one that
 * ends before a response. */
static enum lease_state hold_ended(struct leasing *l)
{
    struct pooled connection = l->secured;

    connection.stream = TAKE(l->securing.stream);
    leasing_end_shared(l);
    return leasing_hold(l, &connection, source_of(l));
}

static enum lease_state open_again(struct leasing *l)
{
    leasing_end_shared(l);
    timer_set_at(&l->late, give_up_at(l));
    return leasing_look_again(l, LEASING_MAX_AGE_MS);
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
    leasing_end_shared(l);
    return leasing_fail(l, ERR_TLS);
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
        return leasing_in_joined(l);
    if (o->result == ERR_AGAIN)
        return LEASE_OPENING;
    if (connectors_on_result(c, l->lease->endpoint, o) && o->result == ERR_AGAIN)
        return LEASE_OPENING;
    waiters_remove(&l->waiter);
    if (o->result) {
        leasing_end_shared(l);
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
    leasing_end_shared(l);
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
    return leasing_look_again(l, watching ? LEASING_MAX_AGE_MS : LEASING_RETRY_MS);
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
        l->state = leasing_look_again(l, RETRY_MAX_AGE_MS);
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
        leasing_note_error(l, &trouble, false);
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
    leasing_fail(l, e);
    task_wake(l->wake);
}

/* ---- called by upstream.c ---- */

/* A pod that is being terminated refuses connections before the API server reports that it
 * is: the pauses give the API server time. */
static uint64_t pause_ms(unsigned attempt)
{
    static const uint64_t pauses[] = { 0, 0, 100, 200, 300, 500, 1000 };
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
                 want->avoid ? RETRY_MAX_AGE_MS : LEASING_MAX_AGE_MS, &l->step);
    run(l);
}

void leasing_take(struct leasing *l, struct stream *s, struct log_id via)
{
    struct pooled connection = { .stream = s, .via = via };

    stop_opening(l);
    leasing_hold(l, &connection, SOURCE_IDLE);
    task_wake(l->wake);
}

void leasing_cancel(struct leasing *l)
{
    if (is_settled(l))
        return;
    stop_opening(l);
    diag_set(&l->lease->why, ERR_CANCELLED, "the way to the API server has changed");
    leasing_fail(l, ERR_CANCELLED);
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
