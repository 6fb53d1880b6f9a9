#include "upstream/prewarming.h"

#include <stdio.h>

#include "base/map.h"
#include "base/own.h"
#include "upstream/connectors.h"

#define REMEMBERED_MAX 2048 /* services and pods; further ones are not prewarmed */
#define KEY_ROOM 320

struct prewarming {
    struct sched *sched;
    struct connectors *connectors;
    const struct own_pod *own;
    struct map remembered; /* "ns/service" and "ns//pod" -> struct demand */
};

static struct str key_of(const char *ns, const char *between, const char *name,
                         char room[static KEY_ROOM])
{
    int n = snprintf(room, KEY_ROOM, "%s%s%s", ns, between, name);
    return (struct str){ room, n < KEY_ROOM ? (size_t)n : KEY_ROOM - 1 };
}

/* Forget those without recent demand, if there are too many. */
static bool make_room(struct prewarming *s)
{
    size_t at = 0;

    if (s->remembered.count < REMEMBERED_MAX)
        return true;
    for (struct map_entry *e; (e = map_next(&s->remembered, &at));) {
        struct demand *d = e->value;
        demand_decay(d, s->sched->now);
        if (d->peak)
            continue;
        map_remove(&s->remembered, (struct str){ e->key, e->key_len });
        free(d);
    }
    return s->remembered.count < REMEMBERED_MAX;
}

static const struct demand *recall(struct prewarming *s, struct str key)
{
    struct demand *known = map_get(&s->remembered, key);

    if (known)
        demand_decay(known, s->sched->now);
    return known && known->peak ? known : NULL;
}

/* Remember `now` if it is more than what is remembered after decay: while a service loses its
 * pods, its demand only decays. */
static void remember(struct prewarming *s, struct str key, const struct demand *now)
{
    const struct demand *before = recall(s, key);
    struct demand *known = map_get(&s->remembered, key);

    if (now->peak == 0 || (before && before->peak > now->peak))
        return;
    if (!known) {
        if (!make_room(s))
            return;
        known = xcalloc(1, sizeof(*known));
        map_set(&s->remembered, key, known);
    }
    *known = *now;
}

/* Is it a pod of a StatefulSet?  Then its replacement has the same name. */
static bool is_named(const struct endpoint *e)
{
    return e->hostname != NULL;
}

/* Endpoints that may be chosen. */
static size_t count_used(const struct service *s)
{
    return s->endpoint_count < SERVICE_SUBSET ? s->endpoint_count : SERVICE_SUBSET;
}

static void remember_all(struct prewarming *s, const struct service *service)
{
    struct demand sum = { 0 };
    char room[KEY_ROOM];

    for (size_t i = 0; i < count_used(service); i++) {
        const struct endpoint *e = service->endpoints[i];
        struct demand d = connector_demand(connectors_for(s->connectors, e), e->key);
        demand_add(&sum, &d);
        if (is_named(e))
            remember(s, key_of(e->ns, "//", e->pod, room), &d);
    }
    remember(s, key_of(service->ns, "/", service->name, room), &sum);
}

static bool is_ready(const struct endpoint *e)
{
    return e->ready && !e->terminating;
}

/* One change of a service: what is computed once for all of its endpoints. */
struct change {
    const struct service *before, *after;
    const struct demand *all; /* the demand of the whole service; NULL: none */
    uint32_t ready;           /* number of endpoints that are ready after the change */
    struct map were_ready;    /* the endpoints that were ready before, by key */
    bool indexed;             /* `were_ready` is filled in */
};

static uint32_t count_ready(const struct service *s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < count_used(s); i++)
        n += is_ready(s->endpoints[i]);
    return n;
}

static void index_ready(struct change *c)
{
    c->indexed = true;
    for (size_t i = 0; c->before && i < count_used(c->before); i++) {
        struct endpoint *e = c->before->endpoints[i];
        if (is_ready(e))
            map_set(&c->were_ready, str_of(e->key), e);
    }
}

static bool was_ready(struct change *c, const struct endpoint *e)
{
    if (!c->indexed)
        index_ready(c);
    return map_get(&c->were_ready, str_of(e->key));
}

/* Expect the endpoint's share of the service's demand, or all of the demand of the pod that
 * had the same name before. */
static void expect(struct prewarming *s, struct change *c, const struct endpoint *e)
{
    char room[KEY_ROOM];
    const struct demand *same =
        is_named(e) ? recall(s, key_of(e->ns, "//", e->pod, room)) : NULL;

    if ((!c->all && !same) ||
        was_ready(c, e)) /* in this order: was_ready indexes all endpoints */
        return;
    if (!e->uid[0] || own_pod_is(s->own, e))
        return;
    struct connector *use = connectors_for(s->connectors, e);
    if (same)
        connector_expect(use, e, same->peak, same);
    if (c->all)
        connector_expect(use, e, (c->all->peak + c->ready - 1) / c->ready, c->all);
}

static void expect_all(struct prewarming *s, struct change *c)
{
    const struct service *after = c->after;
    char room[KEY_ROOM];

    c->all = recall(s, key_of(after->ns, "/", after->name, room));
    c->ready = count_ready(after);
    map_init(&c->were_ready);
    for (size_t i = 0; i < count_used(after); i++)
        if (is_ready(after->endpoints[i]))
            expect(s, c, after->endpoints[i]);
    map_finish(&c->were_ready);
}

void prewarming_on_change(struct prewarming *s, const struct service *before,
                          const struct service *after)
{
    struct change c = { .before = before, .after = after };

    if (before)
        remember_all(s, before);
    if (after)
        expect_all(s, &c);
}

struct prewarming *prewarming_create(struct sched *sched, struct connectors *connectors,
                                     const struct own_pod *own)
{
    struct prewarming *s = xcalloc(1, sizeof(*s));

    s->sched = sched;
    s->connectors = connectors;
    s->own = own;
    map_init(&s->remembered);
    return s;
}

void prewarming_destroy(struct prewarming *s)
{
    size_t at = 0;
    if (!s)
        return;
    for (struct map_entry *e; (e = map_next(&s->remembered, &at));)
        free(e->value);
    map_finish(&s->remembered);
    free(s);
}
