#include "upstream/connectors.h"

#include "base/own.h"

LOG_MODULE(upstream);

#define PROBES_MAX 64 /* at once */

/* One connection that no request waits for, to an endpoint that has failed before. */
struct probe {
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

/* The network is the reason only where no answer came to a connection. */
static void note_failure(struct connectors *c, const struct endpoint *e,
                         const struct opening *o)
{
    reachability_on_failure(&c->reachability, e, o->result == ERR_CONNECT, c->sched->now);
    log_info(CLUSTER_ID(c->cluster), "no direct connection: a tunnel is used",
             LOG_S("pod", e->pod), LOG_S("namespace", e->ns),
             LOG_S("node", e->node ? e->node : ""),
             LOG_S("reason", diag_text(&o->error.why, o->result)));
}

static void probe_end(struct probe *p)
{
    struct connectors *c = p->owner;

    opening_finish(&p->opening);
    task_cancel(&p->task);
    list_remove(&p->node);
    c->probe_count--;
    endpoint_unref(p->endpoint);
    free(p);
}

static void on_probe(struct task *task)
{
    struct probe *p = container_of(task, struct probe, task);
    struct connectors *c = p->owner;
    const struct endpoint *e = p->endpoint;

    if (p->opening.result == ERR_AGAIN)
        return;
    if (p->opening.result == OK) {
        stream_close(TAKE(p->opening.stream));
        reachability_on_success(&c->reachability, e, c->sched->now);
        log_info(CLUSTER_ID(c->cluster), "direct connections succeed again",
                 LOG_S("pod", e->pod), LOG_S("namespace", e->ns),
                 LOG_S("node", e->node ? e->node : ""));
    } else {
        reachability_on_failure(&c->reachability, e, p->opening.result == ERR_CONNECT,
                                c->sched->now);
    }
    probe_end(p);
}

static void probe(struct connectors *c, const struct endpoint *e, uint16_t port)
{
    struct probe *p = xcalloc(1, sizeof(*p));

    p->owner = c;
    p->endpoint = endpoint_ref(e);
    task_init(&p->task, c->sched, RANK_WORK, on_probe);
    list_append(&c->probes, &p->node);
    c->probe_count++;
    connector_open(c->direct, p->endpoint, port, &p->opening, &p->task);
    if (p->opening.result != ERR_AGAIN)
        task_wake(&p->task);
}

void connectors_open(struct connectors *c, const struct endpoint *e, uint16_t port,
                     struct opening *o, struct task *wake)
{
    struct connector *use = connectors_for(c, e);

    if (is_auto(c) && use == c->tunnel && c->probe_count < PROBES_MAX &&
        reachability_probe_due(&c->reachability, e, c->sched->now))
        probe(c, e, port);
    connector_open(use, e, port, o, wake);
    if (o->result != ERR_AGAIN)
        connectors_on_result(c, e, o);
}

/* Kept connections of their own give way: a tunnel would need a descriptor, too. */
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

const char *connectors_credential_words(struct connectors *c)
{
    return c->tunnel ? connector_credential_words(c->tunnel) : NULL;
}

void connectors_init(struct connectors *c, struct sched *sched,
                     const struct upstream_connectors *use, uint16_t cluster)
{
    *c = (struct connectors){
        .tunnel = use->tunnel, .direct = use->direct, .sched = sched, .cluster = cluster
    };
    reachability_init(&c->reachability);
    list_init(&c->probes);
}

void connectors_finish(struct connectors *c)
{
    while (!list_empty(&c->probes))
        probe_end(list_first(&c->probes, struct probe, node));
    reachability_finish(&c->reachability);
}
