/* serve/serve.c - the owner of all sessions */
#include "serve/serve.h"

#include <assert.h>
#include <stdio.h>

#include "base/own.h"
#include "cluster/clusters.h"
#include "http/head_text.h"
#include "serve/accounting.h"
#include "serve/early_refusal.h"
#include "serve/exchange.h"
#include "serve/handover.h"
#include "serve/proxy_users.h"
#include "serve/raw.h"
#include "serve/serve_state.h"
#include "serve/service_metrics.h"
#include "serve/session.h"
#include "serve/streams.h"
#include "serve/terminate.h"

/* Clients over max-connections whose request is read, for one of our own pages (a probe has
 * to succeed also then) or a 503.  Further ones get the 503 at once. */
#define SURPLUS_MAX 64

/* Clients whose user may not connect, while they read the 403; further ones are reset. */
#define REFUSED_MAX 64

static const struct handover handover = {
    .to_session = session_open_exposed,
    .to_ending = session_open_ending,
    .to_hello = session_open_hello,
    .to_raw = raw_open_proxied,
    .to_leased = raw_open_leased,
    .to_terminated = terminate_open,
};

static void each(struct list_node *list, void (*visit)(struct list_node *member))
{
    for (struct list_node *at = list->next, *next; at != list; at = next) {
        next = at->next;
        visit(at);
    }
}

static void on_drain_deadline(struct timer *t)
{
    struct serve *s = container_of(t, struct serve, drain_deadline);

    each(&s->sessions, session_kill);
    each(&s->raws, raw_kill);
}

static void init_codecs(struct serve *s)
{
    const struct config *c = s->config;
    const struct h1_limits limits = { c->max_head_size, c->max_head_fields };

    h1_servers_init(&s->h1, limits);
    s->h2 = (struct h2_settings){
        .sched = s->sched,
        .pool = s->pool,
        .max_head_size = c->max_head_size,
        .max_head_fields = c->max_head_fields,
        .streams_max = c->http2_streams,
        .window = (uint32_t)c->http2_window,
    };
    h2_settings_init(&s->h2);
}

struct serve *serve_create(struct sched *sched, struct chunk_pool *pool,
                           struct clusters *clusters, const struct config *config,
                           struct naming *naming, struct admin *admin)
{
    struct serve *s = xcalloc(1, sizeof(*s));

    s->sched = sched;
    s->pool = pool;
    s->clusters = clusters;
    s->config = config_ref(config);
    s->naming = naming;
    s->admin = admin;
    s->handover = &handover;
    s->clients_max = config->max_connections;
    s->surplus_max = SURPLUS_MAX;
    pressure_init(&s->pressure, sched, pool);
    list_init(&s->sessions);
    list_init(&s->raws);
    list_init(&s->free_exchanges);
    list_init(&s->free_running);
    init_codecs(s);
    timer_init(&s->drain_deadline, sched, on_drain_deadline);
    s->service_metrics = service_metrics_create(config->service_metrics);
    serve_metrics_register();
    accounting_metrics_register();
    return s;
}

/* "127.0.0.1:5000" and "[::1]:5000" without port and brackets; others as they are. */
static struct visitor visitor_of(const struct arrival *from)
{
    struct visitor v = { .peer = from->peer,
                         .loopback = from->loopback,
                         .same_user = from->same_user,
                         .listener_port = from->port };
    struct str host;
    uint16_t any;

    if (authority_split(str_of(from->address), &host, &any))
        host = str_of(from->address);
    if (host.len > 2 && host.at[0] == '[')
        host = (struct str){ host.at + 1, host.len - 2 };
    snprintf(v.address, sizeof(v.address), "%.*s", STR_ARG(host));
    if (from->peer.kind == PEER_LOCAL)
        snprintf(v.account, sizeof(v.account), "user %u", from->peer.uid);
    else
        memcpy(v.account, v.address, sizeof(v.account));
    return v;
}

void serve_limit_clients(struct serve *s, size_t max, size_t surplus)
{
    s->clients_max = max;
    s->surplus_max = surplus;
}

void serve_limit_memory(struct serve *s, size_t max)
{
    chunk_pool_set_limit(s->pool, max, &s->pressure.relieve);
}

void serve_terminate_tls(struct serve *s, struct leaves *leaves)
{
    s->leaves = leaves;
}

void serve_set_traces(struct serve *s, struct otlp *o)
{
    s->traces = o;
}

void serve_set_access_log(struct serve *s, struct access_log *l)
{
    s->access_log = l;
}

void serve_set_in_pod(struct serve *s, bool in_pod)
{
    s->in_pod = in_pod;
}

void serve_set_proxy_users(struct serve *s, struct proxy_users *users)
{
    proxy_users_destroy(s->proxy_users);
    s->proxy_users = users;
}

void serve_set_outside(struct serve *s, struct outside_dialer *dialer)
{
    s->outside = dialer;
}

void serve_hold_outside(struct serve *s)
{
    s->outside_holds++;
}

void serve_end_outside(struct serve *s)
{
    assert(s->outside_holds > 0);
    s->outside_holds--;
}

bool serve_passes_on(const struct serve *s)
{
    return serve_leads_outside(s);
}

bool serve_free_descriptor(struct serve *s)
{
    return clusters_free_descriptor(s->clusters) ||
           pressure_free_descriptor(&s->pressure);
}

bool serve_free_tunnel(struct serve *s, const char *pod_key)
{
    return pressure_free_tunnel(&s->pressure, session_uses_pod, pod_key);
}

/* For one more client, if need be that of an idle one (which is gone by the end of the turn).
 */
static bool has_place(struct serve *s)
{
    return s->count < s->clients_max || pressure_free_descriptor(&s->pressure);
}

void serve_turn_away(struct serve *s, struct stream *client)
{
    pressure_note(&s->pressure, EVENT_CLIENT);
    early_refuse_too_many(&client->out);
    stream_close(client);
}

void serve_accept(struct serve *s, struct stream *client, const struct arrival *arrival)
{
    struct visitor from = visitor_of(arrival);

    if (s->draining) {
        stream_abort(client);
        return;
    }
    from.surplus = !has_place(s);
    if (from.surplus && s->count >= s->clients_max + s->surplus_max) {
        serve_turn_away(s, client);
        return;
    }
    session_open(s, client, &from);
}

/* Other users' connections do not give way to one that is refused. */
void serve_refuse_user(struct serve *s, struct stream *client,
                       const struct arrival *arrival, const char *flag)
{
    struct visitor from = visitor_of(arrival);

    if (s->draining || s->refused >= REFUSED_MAX) {
        stream_abort(client);
        return;
    }
    from.refused = true;
    s->refused++;
    early_refuse_user(&from.peer, flag, &client->out);
    session_open(s, client, &from);
}

void serve_accept_raw(struct serve *s, struct stream *client,
                      const struct arrival *arrival, struct exposed *exposed)
{
    struct visitor from = visitor_of(arrival);

    from.exposed = exposed;
    if (s->draining || !has_place(s)) {
        stream_abort(client);
        return;
    }
    raw_open(s, client, &from);
}

void serve_configure(struct serve *s, const struct config *config)
{
    const struct config *before = s->config;

    s->config = config_ref(config);
    if (config->service_metrics != before->service_metrics) { /* they begin at 0 again */
        service_metrics_destroy(s->service_metrics);
        s->service_metrics = service_metrics_create(config->service_metrics);
    }
    config_unref(before);
    s->h1.limits = (struct h1_limits){ config->max_head_size, config->max_head_fields };
    h2_settings_change(&s->h2, &(struct h2_limits){ config->max_head_size,
                                                    config->max_head_fields,
                                                    config->http2_streams,
                                                    (uint32_t)config->http2_window });
    each(&s->sessions, session_close_denied);
    each(&s->raws, raw_close_denied);
}

void serve_close_clients(struct serve *s,
                         bool (*allowed)(void *owner, const struct peer *peer),
                         void *owner)
{
    for (struct list_node *at = s->sessions.next, *next; at != &s->sessions; at = next) {
        next = at->next;
        if (!allowed(owner, &session_visitor(at)->peer))
            session_kill(at);
    }
    for (struct list_node *at = s->raws.next, *next; at != &s->raws; at = next) {
        next = at->next;
        if (!allowed(owner, &raw_visitor(at)->peer))
            raw_kill(at);
    }
}

void serve_drain(struct serve *s, struct task *done)
{
    s->draining = true;
    s->drained = done;
    each(&s->sessions, session_nudge);
    timer_set_at(&s->drain_deadline, s->sched->now + s->config->drain_timeout_ms);
    if (s->count == 0)
        task_wake(done);
}

void serve_each_client(const struct serve *s,
                       void (*each_client)(void *owner, const struct client_status *),
                       void *owner)
{
    struct client_status client;

    for (struct list_node *at = s->sessions.next; at != &s->sessions; at = at->next)
        if (session_status(at, &client))
            each_client(owner, &client);
    for (struct list_node *at = s->raws.next; at != &s->raws; at = at->next)
        if (raw_status(at, &client))
            each_client(owner, &client);
}

struct serve_rate serve_recent(const struct serve *s)
{
    return recent_rate(&s->recent, s->sched->now);
}

void serve_observe(struct serve *s, const struct observer *o)
{
    s->observer = o;
}

void serve_trim(struct serve *s)
{
    exchange_trim(s);
    streams_trim(s);
    h1_servers_trim(&s->h1);
    h2_settings_trim(&s->h2);
}

bool serve_idle(const struct serve *s)
{
    return s->count == 0;
}

size_t serve_sessions(const struct serve *s)
{
    return s->count;
}

void serve_destroy(struct serve *s)
{
    if (!s)
        return;
    s->drained = NULL;
    each(&s->sessions, session_destroy);
    each(&s->raws, raw_destroy);
    serve_trim(s);
    head_fields_finish(&s->response_head);
    h2_settings_finish(&s->h2);
    pressure_finish(&s->pressure);
    timer_stop(&s->drain_deadline);
    proxy_users_destroy(s->proxy_users);
    service_metrics_destroy(s->service_metrics);
    config_unref(s->config);
    free(s);
}
