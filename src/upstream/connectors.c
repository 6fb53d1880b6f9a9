#include "upstream/connectors.h"

#include "base/own.h"

LOG_MODULE(upstream);

#define TRIALS_MAX 64 /* under way at the same time */

/* A direct connection to an endpoint whose last one failed.  No request waits for it: its only
 * purpose is to find out whether direct connections succeed again. */
struct trial {
    struct list_node node;
    struct connectors *owner;
    struct endpoint *endpoint; /* a reference */
    struct opening opening;
    struct task task;
};

static bool is_auto(const struct connectors *c)
{
    return c->tunnel && c->direct;
}

struct connector *connectors_for(const struct connectors *c, const struct endpoint *e)
{
    if (!is_auto(c))
        return c->tunnel ? c->tunnel : c->direct;
    return reachability_allows(&c->reachability, e) ? c->direct : c->tunnel;
}

/* Only ERR_CONNECT (no packet came back) may be the fault of the network. */
static void note_failure(struct connectors *c, const struct endpoint *e,
                         const struct opening *o)
{
    reachability_on_failure(&c->reachability, e, o->result == ERR_CONNECT, c->sched->now);
    log_info(CLUSTER_ID(c->cluster), "no direct connection: a tunnel is used",
             LOG_S("pod", e->pod), LOG_S("namespace", e->ns),
             LOG_S("node", e->node ? e->node : ""),
             LOG_S("reason", diag_text(&o->error.why, o->result)));
}

static void trial_end(struct trial *t)
{
    struct connectors *c = t->owner;

    opening_finish(&t->opening);
    task_cancel(&t->task);
    list_remove(&t->node);
    c->trial_count--;
    endpoint_unref(t->endpoint);
    free(t);
}

static void on_trial(struct task *task)
{
    struct trial *t = container_of(task, struct trial, task);
    struct connectors *c = t->owner;
    const struct endpoint *e = t->endpoint;

    if (t->opening.result == ERR_AGAIN)
        return;
    if (t->opening.result == OK) {
        stream_close(TAKE(t->opening.stream));
        reachability_on_success(&c->reachability, e, c->sched->now);
        log_info(CLUSTER_ID(c->cluster), "direct connections succeed again",
                 LOG_S("pod", e->pod), LOG_S("namespace", e->ns),
                 LOG_S("node", e->node ? e->node : ""));
    } else {
        reachability_on_failure(&c->reachability, e, t->opening.result == ERR_CONNECT,
                                c->sched->now);
    }
    trial_end(t);
}

static void trial_start(struct connectors *c, const struct endpoint *e, uint16_t port)
{
    struct trial *t = xcalloc(1, sizeof(*t));

    t->owner = c;
    t->endpoint = endpoint_ref(e);
    task_init(&t->task, c->sched, RANK_WORK, on_trial);
    list_append(&c->trials, &t->node);
    c->trial_count++;
    connector_open(c->direct, t->endpoint, port, &t->opening, &t->task);
    if (t->opening.result != ERR_AGAIN)
        task_wake(&t->task);
}

void connectors_open(struct connectors *c, const struct endpoint *e, uint16_t port,
                     struct opening *o, struct task *wake)
{
    struct connector *use = connectors_for(c, e);

    if (is_auto(c) && use == c->tunnel && c->trial_count < TRIALS_MAX &&
        reachability_trial_due(&c->reachability, e, c->sched->now))
        trial_start(c, e, port);
    connector_open(use, e, port, o, wake);
    if (o->result != ERR_AGAIN)
        connectors_on_result(c, e, o);
}

/* No descriptor was left: close idle direct connections, one by one, until the opening gets
 * one.  A fallback to a tunnel would not help, since a tunnel needs a descriptor, too. */
static bool try_again(struct connectors *c, const struct endpoint *e, struct opening *o)
{
    bool again = false;

    while (o->result == ERR_NO_FILES && c->free_descriptor(c->owner)) {
        connector_open(c->direct, e, o->port, o, o->wake);
        again = true;
    }
    return again;
}

bool connectors_on_result(struct connectors *c, const struct endpoint *e,
                          struct opening *o)
{
    if (o->connector != c->direct)
        return false;
    bool again = try_again(c, e, o);
    if (!is_auto(c) || o->result == ERR_AGAIN)
        return again;
    if (o->result == OK) {
        reachability_on_success(&c->reachability, e, c->sched->now);
        return again;
    }
    if (o->result != ERR_NO_FILES)
        note_failure(c, e, o);
    connector_open(c->tunnel, e, o->port, o, o->wake);
    return true;
}

void connectors_on_lost(struct connectors *c, const struct endpoint *e)
{
    const struct opening lost = { .result = ERR_CONNECT,
                                  .error.why.text = "packets are not acknowledged" };

    if (is_auto(c) && reachability_allows(&c->reachability, e))
        note_failure(c, e, &lost);
}

void connectors_retire(struct connectors *c, const char *pod_key)
{
    if (c->tunnel)
        connector_retire(c->tunnel, pod_key);
    if (c->direct)
        connector_retire(c->direct, pod_key);
    reachability_forget(&c->reachability, pod_key);
}

bool connectors_lack_credentials(struct connectors *c, struct diag *why)
{
    return c->tunnel && connector_lacks_credentials(c->tunnel, why);
}

const char *connectors_plugin_output(struct connectors *c)
{
    return c->tunnel ? connector_plugin_output(c->tunnel) : NULL;
}

void connectors_init(struct connectors *c, struct sched *sched,
                     const struct upstream_connectors *use, uint16_t cluster)
{
    *c = (struct connectors){
        .tunnel = use->tunnel, .direct = use->direct, .sched = sched, .cluster = cluster
    };
    reachability_init(&c->reachability);
    list_init(&c->trials);
}

void connectors_finish(struct connectors *c)
{
    while (!list_empty(&c->trials))
        trial_end(list_first(&c->trials, struct trial, node));
    reachability_finish(&c->reachability);
}
