/* catalog/missing.c - pods that lists still have and the API server has not (decision 021) */
#include "base/log.h"
#include "base/own.h"
#include "catalog/catalog.h"
#include "catalog/record.h"

LOG_MODULE(catalog);

#define MISSING_MAX 4096

static bool holds_pod(const struct service *s, const char *key)
{
    for (size_t i = 0; s && i < s->endpoint_count; i++)
        if (strcmp(s->endpoints[i]->key, key) == 0)
            return true;
    return false;
}

/* False: it is in the map already.  A full map is cleared: a UID is never used again, and lists
 * that still have it are replaced soon. */
static bool is_news(struct catalog *c, const char *key)
{
    if (c->missing.count >= MISSING_MAX) {
        map_finish(&c->missing);
        map_init(&c->missing);
    }
    return !map_set(&c->missing, str_of(key), c);
}

/* Ignores endpoints without a UID, since the next pod of that name would have the same key. */
void catalog_note_missing(struct catalog *c, const struct endpoint *missing)
{
    size_t at = 0;

    if (!*missing->uid || !is_news(c, missing->key))
        return;
    log_info(CLUSTER_ID(c->settings.cluster), "a listed pod does not exist",
             LOG_S("pod", missing->key));
    for (struct record *r; (r = set_next(&c->records, &at));) {
        if (!holds_pod(r->service, missing->key))
            continue;
        r->answered_at = 0;
        record_touch(r);
    }
}
