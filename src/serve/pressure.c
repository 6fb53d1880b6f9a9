/* serve/pressure.c - which client gives way when descriptors run short */
#include "serve/pressure.h"

#define LOG_MODULE LOG_SERVE
#include "base/log.h"
#include "base/metrics.h"

#define EPISODE_MS 10000 /* without an event: the next one is logged again */

static struct metric shed = {
    .name = "kube_tunnel_connections_shed_total",
    .help =
        "Connections closed or refused because there were too many, by what they were",
    .type = METRIC_COUNTER,
    .label = "kind",
    .values = { "idle", "refused" },
};

void pressure_init(struct pressure *p, struct sched *sched)
{
    *p = (struct pressure){ .sched = sched };
    list_init(&p->idle);
    metrics_register(&shed);
}

void holder_init(struct holder *h, struct pressure *p, bool (*give_way)(struct holder *h))
{
    *h = (struct holder){ .pressure = p, .give_way = give_way };
    list_init(&h->node);
}

void holder_none(struct holder *h)
{
    list_remove(&h->node);
}

void holder_idle(struct holder *h)
{
    list_remove(&h->node);
    h->since = h->pressure->sched->now;
    list_append(&h->pressure->idle, &h->node);
}

enum event { EVENT_IDLE, EVENT_REFUSED };

static const char *const sentences[PRESSURE_EVENTS] = {
    [EVENT_IDLE] = "as many clients as there may be: idle connections are closed",
    [EVENT_REFUSED] = "as many clients as there may be: more are refused",
};

static void note(struct pressure *p, enum event event)
{
    uint64_t now = p->sched->now, *seen = &p->seen[event];

    if (!*seen || now - *seen >= EPISODE_MS)
        log_warn(NO_ID, sentences[event]);
    *seen = now;
    metric_add(&shed, event, 1);
}

void pressure_note_refusal(struct pressure *p)
{
    note(p, EVENT_REFUSED);
}

bool pressure_free_descriptor(struct pressure *p)
{
    list_for_each (h, &p->idle, struct holder, node) {
        if (p->sched->now - h->since < PRESSURE_IDLE_MS)
            return false;
        holder_none(h);
        if (!h->give_way(h))
            continue;
        note(p, EVENT_IDLE);
        return true;
    }
    return false;
}
