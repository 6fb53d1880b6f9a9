/* catalog/refusals.c - negative cache of refused lists, by namespace
 *
 * A slice list that is answered 403 or 404 is not requested again in that namespace for 60 s:
 * otherwise half of all requests would be refused.  Rights differ by namespace, and change.
 */
#include "base/own.h"
#include "catalog/record.h"

#define KEEP_MS 60000
#define NAMESPACES_MAX 1024

struct refusals {
    uint64_t until[REFUSED_KINDS]; /* sched ms; 0: not refused */
};

void refusals_finish(struct catalog *c)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&c->refusals, &at));)
        free(e->value);
    map_finish(&c->refusals);
}

void refusals_note(struct catalog *c, const char *ns, enum refused what)
{
    struct refusals *r = map_get(&c->refusals, str_of(ns));

    if (!r && c->refusals.count >= NAMESPACES_MAX)
        refusals_finish(c);
    if (!r) {
        r = xcalloc(1, sizeof(*r));
        map_set(&c->refusals, str_of(ns), r);
    }
    r->until[what] = c->sched->now + KEEP_MS;
}

bool refusals_have(const struct catalog *c, const char *ns, enum refused what)
{
    const struct refusals *r = map_get(&c->refusals, str_of(ns));
    return r && r->until[what] > c->sched->now;
}
