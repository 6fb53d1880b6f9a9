/* catalog/held.c - how many entries hold each pod, and which pods none holds any more */
#include "base/log.h"
#include "base/own.h"
#include "catalog/record.h"

#define LOG_MODULE LOG_CATALOG

static void hold_pods(struct catalog *c, const struct service *s)
{
    for (size_t i = 0; i < s->endpoint_count; i++) {
        struct str key = str_of(s->endpoints[i]->key);
        uintptr_t count = (uintptr_t)map_get(&c->held, key);
        map_set(&c->held, key, (void *)(count + 1));
    }
}

/* True when this was the last entry that held it. */
static bool drop_pod(struct catalog *c, struct str key)
{
    uintptr_t count = (uintptr_t)map_get(&c->held, key);

    if (count > 1)
        map_set(&c->held, key, (void *)(count - 1));
    else if (count == 1)
        map_remove(&c->held, key);
    return count == 1;
}

static void tell_gone(struct catalog *c, const char *key)
{
    log_debug(CLUSTER_ID(c->settings.cluster), "endpoint gone", LOG_S("pod", key));
    if (c->gone)
        c->gone(c->gone_owner, key);
}

/* New before old, so that a pod in both is never gone in between. */
void held_replace(struct record *r, struct service *service)
{
    struct catalog *c = r->catalog;
    struct service *old = r->service;

    if (service)
        hold_pods(c, service);
    r->service = service;
    if (c->change && (old || service))
        c->change(c->change_owner, old, service);
    for (size_t i = 0; old && i < old->endpoint_count; i++)
        if (drop_pod(c, str_of(old->endpoints[i]->key)))
            tell_gone(c, old->endpoints[i]->key);
    service_unref(old);
}

void held_forget(struct record *r)
{
    for (size_t i = 0; r->service && i < r->service->endpoint_count; i++)
        (void)drop_pod(r->catalog, str_of(r->service->endpoints[i]->key));
}
