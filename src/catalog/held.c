/* catalog/held.c - count the entries that have each pod, and report pods that none has any more
 */
#include "base/log.h"
#include "base/own.h"
#include "catalog/endpoint.h"
#include "catalog/record.h"

LOG_MODULE(catalog);

static void hold_pod(struct catalog *c, struct str key)
{
    uintptr_t count = (uintptr_t)map_get(&c->held, key);
    map_set(&c->held, key, (void *)(count + 1));
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

static void report_gone(struct catalog *c, const char *key)
{
    log_debug(CLUSTER_ID(c->settings.cluster), "endpoint gone", LOG_S("pod", key));
    if (c->gone)
        c->gone(c->gone_owner, key);
}

/* Are its endpoints in endpoint_order, without equal ones? */
static bool is_ordered(const struct service *s)
{
    return s && s->endpoint_count > SERVICE_SUBSET;
}

/* Calls back for each pod of `a` that `b` does not have in the same state.  This saves work for
 * large services, where nearly all stay; if one is not ordered it calls back for all, with the
 * same effect. */
static void each_other(struct catalog *c, const struct service *a,
                       const struct service *b,
                       void (*each)(struct catalog *c, struct str key))
{
    bool ordered = is_ordered(a) && is_ordered(b);
    size_t k = 0;

    for (size_t i = 0; a && i < a->endpoint_count; i++) {
        const struct endpoint *e = a->endpoints[i];
        while (ordered && k < b->endpoint_count && endpoint_order(b->endpoints[k], e) < 0)
            k++;
        if (!ordered || k == b->endpoint_count || endpoint_order(b->endpoints[k], e) != 0)
            each(c, str_of(e->key));
    }
}

static void release_pod(struct catalog *c, struct str key)
{
    if (drop_pod(c, key))
        report_gone(c, key.at);
}

/* Counts the new entry's pods before it releases the old ones, so that a pod in both is not
 * reported as gone. */
void held_replace(struct record *r, struct service *service)
{
    struct catalog *c = r->catalog;
    struct service *old = r->service;

    each_other(c, service, old, hold_pod);
    r->service = service;
    if (c->change && (old || service))
        c->change(c->change_owner, old, service);
    each_other(c, old, service, release_pod);
    service_unref(old);
}

void held_forget(struct record *r)
{
    for (size_t i = 0; r->service && i < r->service->endpoint_count; i++)
        (void)drop_pod(r->catalog, str_of(r->service->endpoints[i]->key));
}
