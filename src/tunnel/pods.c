/* tunnel/pods.c - which tunnel serves which opening
 *
 * An opening takes an available tunnel, the one used last (so that the others can expire).  If
 * there is none it waits, and enough tunnels are dialled for all that wait.  A tunnel that
 * becomes available, because it was dialled or its connection was closed, goes to the oldest
 * opening that may have it.  Up to own_max tunnels of a pod are own tunnels (own_brief_max,
 * for openings that do not want to be alone); the others are shared by up to five pairs, one
 * for each worker of the runtime.  placing.c decides which tunnel an opening gets.
 *
 * A failed dial fails as many openings as then have no dial left; an error about the pod or
 * our rights fails all of them.  upstream/ decides whether to retry.
 */
#include "tunnel/pods.h"

#include "base/metrics.h"
#include "base/own.h"
#include "tunnel/coalesce.h"
#include "tunnel/dialling.h"
#include "tunnel/placing.h"
#include "tunnel/pod_removal.h"
#include "tunnel/shortage.h"
#include "tunnel/waiting.h"

LOG_MODULE(tunnel);

static struct metric metric_connections = {
    .name = "kube_tunnel_connections_total",
    .help = "Connections opened to pods, on an open or a newly dialled tunnel.",
    .type = METRIC_COUNTER,
    .label = "tunnel",
    .values = { "open", "dialled" },
};

static struct pod_tunnels *pod_of(struct tunnel_owner *owner)
{
    return container_of(owner, struct pod_tunnels, tunnel_owner);
}

/* ---- create and destroy ---- */

static void pod_tunnels_destroy(struct pod_tunnels *p)
{
    free(p->uid);
    free(p->key);
    free(p->ns);
    free(p->name);
    free(p->label);
    list_remove(&p->lacking);
    list_remove(&p->ahead);
    list_remove(&p->full);
    node_unref(p->node);
    pod_removal_destroy(p->removal);
    free(p);
}

static bool is_expected(struct pod_tunnels *p)
{
    demand_decay(&p->usage.demand, p->owner->sched->now);
    return p->usage.demand.wanted > 0 && !p->gone;
}

/* The state is kept while it has a back-off, a row of failures, or demand for prewarmed
 * tunnels. */
void pods_drop_if_unused(struct pod_tunnels *p)
{
    uint64_t now = p->owner->sched->now;
    bool matters = now < p->backoff.not_before ||
                   failure_log_goes_on(&p->failures, now) || is_expected(p);

    if (!list_empty(&p->tunnels) || !list_empty(&p->waiting))
        return;
    if (matters && !p->owner->draining)
        return;
    map_remove(&p->owner->pods, str_of(p->key));
    pod_tunnels_destroy(p);
}

static const struct tunnel_owner_ops tunnel_owner_ops;

static struct pod_tunnels *pod_tunnels_create(struct tunnels *ts,
                                              const struct endpoint *e)
{
    struct pod_tunnels *p = xcalloc(1, sizeof(*p));

    p->owner = ts;
    p->uid = xstrdup(e->uid);
    p->key = xstrdup(e->key);
    p->ns = xstrdup(e->ns);
    p->name = xstrdup(e->pod);
    p->label = xasprintf("%s/%s", e->ns, e->pod);
    p->node = node_ref(&ts->nodes, e->ns, e->node ? e->node : "");
    p->failures =
        (struct failure_log){ .pod = p->label, .cluster = ts->settings.cluster };
    p->tunnel_owner = (struct tunnel_owner){ .ops = &tunnel_owner_ops,
                                             .target = { p->ns, p->name, p->label },
                                             .usage = &p->usage };
    usage_init(&p->usage);
    list_init(&p->lacking);
    list_init(&p->ahead);
    list_init(&p->full);
    list_init(&p->tunnels);
    list_init(&p->with_room);
    list_init(&p->waiting);
    return p;
}

struct pod_tunnels *pods_get(struct tunnels *ts, const struct endpoint *e)
{
    struct pod_tunnels *p = map_get(&ts->pods, str_of(e->key));

    if (p)
        return p;
    p = pod_tunnels_create(ts, e);
    map_set(&ts->pods, str_of(p->key), p);
    return p;
}

/* ---- openings ---- */

static void assign_tunnel(struct pod_tunnels *p, struct tunnel *t, struct opening *o)
{
    list_remove(&t->in_pod);
    list_prepend(&p->tunnels, &t->in_pod);
    list_remove(&t->in_room);
    list_prepend(&p->with_room, &t->in_room);
    t->given = ++p->given;
    o->stream = o->port ? mux_connect(&t->mux, o->port, o->alone) : NULL;
    o->via = t->id;
    o->result = OK;
    metric_add_for(&metric_connections, p->owner->settings.cluster, o->dialled, 1);
    log_debug(t->id, o->dialled ? "connection" : "connection on an open tunnel",
              LOG_S("pod", p->label), LOG_U("port", o->port));
}

/* Give tunnels to the openings that wait, the oldest first.  If there is none for one kind of
 * claim, openings with other claims still get theirs. */
static void serve_waiting(struct pod_tunnels *p)
{
    bool in_vain[CLAIMS] = { false };
    uint32_t own_dials = p->counts.coming_own;

    list_for_each (o, &p->waiting, struct opening, waiting) {
        enum claim claim = placing_claim(p, o, own_dials);
        struct tunnel *t = in_vain[claim] ? NULL : placing_find(p, claim);
        in_vain[claim] = t == NULL;
        own_dials -= !t && claim == CLAIM_DIALLED;
        if (!t)
            continue;
        waiting_remove(o);
        assign_tunnel(p, t, o);
        task_wake(o->wake);
    }
}

static void serve_and_dial(struct pod_tunnels *p)
{
    serve_waiting(p);
    dialling_for_waiting(p);
    dialling_prewarm(p);
}

void pods_cancel_all(struct pod_tunnels *p)
{
    struct api_error error = { .code = ERR_CANCELLED };
    diag_set(&error.why, ERR_CANCELLED, "shutting down");
    waiting_fail_all(p, &error);
}

static void wait_for_connection(struct pod_tunnels *p, struct opening *o)
{
    waiting_add(p, o);
    if (p->owner->draining)
        pods_cancel_all(p);
    uint32_t own_before = p->counts.coming_own;
    dialling_for_waiting(p);
    if (p->counts.coming_own != own_before) /* no own tunnel is reserved for it now */
        serve_waiting(p);
    dialling_prewarm(p);
}

/* The endpoint is ready again: it had left its services only for a moment. */
static void cancel_removal(struct pod_tunnels *p)
{
    p->gone = false;
    pod_removal_destroy(TAKE(p->removal));
}

void pods_open(struct pod_tunnels *p, const struct endpoint *endpoint, struct opening *o)
{
    bool own_dial = p->counts.coming_own > p->usage.waiting_alone;
    struct tunnel *t = placing_find(p, placing_claim(p, o, own_dial));

    if (p->gone && endpoint->ready && !endpoint->terminating)
        cancel_removal(p);
    o->dialled = !t;
    if (t) {
        list_init(&o->waiting);
        assign_tunnel(p, t, o);
        dialling_prewarm(p);
        return;
    }
    const struct api_error *forbidden = dialling_forbids(p);
    if (forbidden && !p->counts.coming) { /* the result is known at once */
        list_init(&o->waiting);
        waiting_set_failure(o, forbidden);
    } else {
        wait_for_connection(p, o);
    }
    pods_drop_if_unused(p);
}

void pods_cancel(struct opening *o)
{
    struct pod_tunnels *p = o->private;

    waiting_remove(o);
    pods_drop_if_unused(p);
}

bool pods_have_room(struct pod_tunnels *p, uint16_t port)
{
    return !p->gone && !p->owner->draining && placing_has_room(p, port);
}

/* ---- what happens to its tunnels ---- */

static void on_tunnel_opened(struct tunnel_owner *owner, struct tunnel *t)
{
    struct pod_tunnels *p = pod_of(owner);

    dialling_on_open(p, t);
    serve_and_dial(p); /* before other pods dial: an opening may wait for it */
    dialling_next(p->owner, p->node);
}

static void on_tunnel_changed(struct tunnel_owner *owner)
{
    serve_and_dial(pod_of(owner));
}

static void on_tunnel_retired(struct tunnel_owner *owner, struct tunnel *t)
{
    pod_of(owner)->counts.open -= mux_capacity(&t->mux);
}

/* Was there no response from the API server itself?  Then the back-off applies to all pods. */
static bool api_server_is_silent(const struct tunnel *t)
{
    bool ours = t->error.code == ERR_GONE || t->error.code == ERR_CANCELLED;
    return t->error.status == 0 && !t->dial.node_is_late && !ours;
}

static void on_dial_failed(struct pod_tunnels *p, const struct api_error *error,
                           bool silent)
{
    bool final = dialling_is_final(error);

    dialling_on_failure(p, error, silent);
    if (error->code == ERR_NO_FILES && p->usage.waiters)
        shortage_of_descriptor(p->owner);
    if (final && error->code == ERR_NOT_FOUND)
        p->gone = true;
    while (!list_empty(&p->waiting) && (final || p->usage.waiters > p->counts.coming))
        waiting_fail_first(p, error);
}

/* We closed a tunnel ourselves: reduce the demand, so that it is not replaced. */
static void forget_demand(struct pod_tunnels *p)
{
    demand_limit(&p->usage.demand, p->counts.open);
    p->prewarms = false;
}

/* May free p. */
static void remove_tunnel(struct pod_tunnels *p, struct tunnel *t)
{
    struct tunnels *ts = p->owner;
    bool was_dialling = t->opened_at == 0;
    bool was_good = !was_dialling && !t->mux.retired;
    bool silent = api_server_is_silent(t);
    struct api_error error = t->error;

    if (!was_dialling && error.code != ERR_CANCELLED)
        dialling_on_loss(p, ts->sched->now - t->opened_at);
    p->counts.own -= !tunnel_is_shared(t);
    if (was_dialling)
        dialling_on_end(p, t);
    p->counts.all--;
    p->counts.open -= was_good ? mux_capacity(&t->mux) : 0;
    tunnel_destroy(t);
    if (was_good && error.code == ERR_CANCELLED)
        forget_demand(p);
    if (was_dialling && !ts->draining)
        on_dial_failed(p, &error, silent);
    dialling_for_waiting(p);
    dialling_prewarm(p);
    dialling_count_live(ts, -1);
    pods_drop_if_unused(p);
}

static void on_tunnel_closed(struct tunnel_owner *owner, struct tunnel *t)
{
    struct pod_tunnels *p = pod_of(owner);
    struct tunnels *ts = p->owner;
    struct node *node = node_share(p->node);
    bool was_dialling = t->opened_at == 0;

    remove_tunnel(p, t);
    if (was_dialling)
        dialling_next(ts, node);
    node_unref(node);
}

/* Where to insert the tunnel in with_room, which is in the order of last use, like the list of
 * all tunnels. */
static struct list_node *place_by_use(struct pod_tunnels *p, const struct tunnel *t)
{
    list_for_each (other, &p->with_room, struct tunnel, in_room)
        if (other->given < t->given)
            return &other->in_room;
    return &p->with_room;
}

/* with_room holds the tunnels with a free worker, so that a search does not visit thousands of
 * full ones. */
static void on_tunnel_room_changed(struct tunnel_owner *owner, struct tunnel *t)
{
    list_remove(&t->in_room);
    if (t->mux.has_room)
        list_insert_before(place_by_use(pod_of(owner), t), &t->in_room);
}

static void on_target_gone(struct tunnel_owner *owner)
{
    struct pod_tunnels *p = pod_of(owner);

    p->prewarm_after = UINT64_MAX; /* until the dial of an opening succeeds */
    pods_retire_open(p);
}

static void on_pod_pair_returned(struct tunnel_owner *owner, struct tunnel *t)
{
    coalesce_convert(pod_of(owner), t);
}

static bool is_reusable(const struct tunnel_owner *owner, const struct tunnel *t)
{
    const struct pod_tunnels *p =
        container_of(owner, const struct pod_tunnels, tunnel_owner);
    return !p->gone && !coalesce_is_redundant(p, t);
}

static const struct tunnel_owner_ops tunnel_owner_ops = {
    .opened = on_tunnel_opened,
    .changed = on_tunnel_changed,
    .retired = on_tunnel_retired,
    .closed = on_tunnel_closed,
    .room_changed = on_tunnel_room_changed,
    .target_gone = on_target_gone,
    .returned = on_pod_pair_returned,
    .is_reusable = is_reusable,
};

void pods_retire_open(struct pod_tunnels *p)
{
    list_for_each (t, &p->tunnels, struct tunnel, in_pod)
        if (t->state == TUNNEL_OPEN)
            mux_retire(&t->mux);
}

void pods_close_tunnels(struct pod_tunnels *p, enum err e, const char *why)
{
    for (uint32_t left = p->counts.all; left; left--)
        tunnel_close(list_first(&p->tunnels, struct tunnel, in_pod), e, why);
}

static void on_pod_gone(void *owner)
{
    pods_close_tunnels(owner, ERR_GONE, "the pod is gone"); /* frees p */
}

void pods_retire(struct pod_tunnels *p)
{
    p->gone = true;
    if (!p->removal && !list_empty(&p->tunnels))
        p->removal = pod_removal_create(p->owner->sched, p->owner->origin.api, p->ns,
                                        p->name, p->uid, on_pod_gone, p);
    pods_retire_open(p);
}

void pods_each(struct tunnels *ts, void (*visit)(struct pod_tunnels *p))
{
    struct pod_tunnels **pods = xcalloc(ts->pods.count, sizeof(*pods));
    size_t n = 0, at = 0;

    for (struct map_entry *e; (e = map_next(&ts->pods, &at));)
        pods[n++] = e->value;
    for (size_t i = 0; i < n; i++)
        visit(pods[i]);
    free(pods);
}

void pods_register_metrics(void)
{
    metrics_register(&metric_connections);
}
