#include "upstream/allowed.h"

#define LATELY_MS 30000
#define NAMESPACES_MAX 4096

void allowed_init(struct allowed *a, struct sched *sched)
{
    a->sched = sched;
    map_init(&a->when);
}

void allowed_finish(struct allowed *a)
{
    map_finish(&a->when);
}

void allowed_note(struct allowed *a, struct str ns)
{
    if (a->when.count < NAMESPACES_MAX || map_get(&a->when, ns))
        map_set(&a->when, ns, (void *)(uintptr_t)a->sched->now);
}

bool allowed_lately(const struct allowed *a, struct str ns)
{
    uint64_t at = (uintptr_t)map_get(&a->when, ns);
    return at && a->sched->now - at < LATELY_MS;
}
