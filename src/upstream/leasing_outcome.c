/* upstream/leasing_outcome.c - how a lease ends: held, failed or parked */
#include "upstream/leasing_steps.h"

#include <stdio.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "upstream/leasing.h"

LOG_MODULE(upstream);

#define ACK_TIMEOUT_MS 600 /* of TCP, for a request that may be sent again */

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

static void count_lease(const struct leasing *l, enum source source)
{
    metric_add_for(&metric_leases, l->parts->settings.cluster, source, 1);
}

void leasing_settle(struct leasing *l, enum lease_state state, enum err result)
{
    timer_stop(&l->late);
    timer_stop(&l->retry);
    search_end_lookup(&l->search);
    l->state = state;
    l->lease->result = result;
}

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

enum lease_state leasing_fail(struct leasing *l, enum err e)
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
    leasing_settle(l, LEASE_FAILED, e);
    return LEASE_FAILED;
}

void leasing_note_error(struct leasing *l, const struct api_error *error, bool dialling)
{
    struct lease *lease = l->lease;

    lease->why = error->why;
    lease->api_status = error->status;
    lease->retry_after = error->retry_after;
    lease->dialling = dialling;
}

void leasing_note_missing(struct leasing *l, const char *verb, const char *resource)
{
    struct lease *lease = l->lease;

    lease->missing_verb = verb;
    lease->missing_resource = resource;
    snprintf(lease->missing_ns, sizeof(lease->missing_ns), "%.*s",
             STR_ARG(route_of(l)->name.ns));
}

bool leasing_may_pass(const struct leasing *l, enum err e)
{
    if (e == ERR_FORBIDDEN || e == ERR_UNAUTHORIZED)
        return allowed_lately(&l->parts->allowed, route_of(l)->name.ns);
    return e != ERR_NOT_FOUND && e != ERR_CONFIG && e != ERR_LIMIT && e != ERR_TLS &&
           e != ERR_ACCESS;
}

/* Wait for a change of the service or the next retry, unless the wait is over. */
enum lease_state leasing_park(struct leasing *l, enum err e)
{
    l->reason = e;
    if (l->want.wait_until <= sched_of(l)->now)
        return leasing_fail(l, e);
    if (!l->parked_once) {
        l->parked_once = true;
        metric_add_for(&metric_parked, l->parts->settings.cluster, 0, 1);
        log_info(l->want.id, "waiting for an endpoint",
                 LOG_V("service", route_of(l)->name.service),
                 LOG_V("namespace", route_of(l)->name.ns),
                 LOG_S("reason", diag_text(&l->lease->why, e)));
    }
    l->failures = 0;
    timer_set(&l->retry, LEASING_RETRY_MS);
    return LEASE_PARKED;
}

/* Fail, or park if the error may pass. */
enum lease_state leasing_fail_or_park(struct leasing *l, enum err e)
{
    return leasing_may_pass(l, e) ? leasing_park(l, e) : leasing_fail(l, e);
}

static uint64_t ack_timeout_ms(const struct leasing *l)
{
    bool repeatable = l->want.repeatable && !l->lease->is_shared;
    return repeatable ? ACK_TIMEOUT_MS : l->parts->settings.silence_ms;
}

enum lease_state leasing_hold_message(struct leasing *l, struct message_stream *message,
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
    lease->answered_lately =
        balance_answered_lately(l->parts->choosing.balance, lease->endpoint, lease->port);
    allowed_note(&l->parts->allowed, route_of(l)->name.ns);
    leasing_settle(l, LEASE_HELD, OK);
    return LEASE_HELD;
}

/* Use this connection for this request only.  The bytes on a raw one may be HTTP/1. */
enum lease_state leasing_hold(struct leasing *l, const struct pooled *connection,
                              enum source source)
{
    h1_client_begin(&l->h1, connection->stream);
    return leasing_hold_message(l, &l->h1.message, connection, source);
}

void leasing_register_metrics(void)
{
    metrics_register(&metric_parked);
    metrics_register(&metric_leases);
}
