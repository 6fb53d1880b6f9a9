/* catalog/missing.c - pods that lists still have and the API server has not (decision 021) */
#include "base/log.h"
#include "base/own.h"
#include "catalog/record.h"

#define LOG_MODULE LOG_CATALOG
#define MISSING_MAX 4096

static bool holds_pod(const struct service *s, const char *uid)
{
    for (size_t i = 0; s && i < s->endpoint_count; i++)
        if (strcmp(s->endpoints[i]->uid, uid) == 0)
            return true;
    return false;
}

/* A UID never comes back, but lists that still have it do not last. */
static bool is_news(struct catalog *c, const char *pod_uid)
{
    if (c->missing.count >= MISSING_MAX) {
        map_finish(&c->missing);
        map_init(&c->missing);
    }
    return !map_set(&c->missing, str_of(pod_uid), c);
}

void catalog_note_missing(struct catalog *c, const char *pod_uid)
{
    size_t at = 0;

    if (!*pod_uid || !is_news(c, pod_uid))
        return;
    log_info(NO_ID, "a pod does not exist, though it is listed", LOG_S("uid", pod_uid));
    for (struct map_entry *e; (e = map_next(&c->records, &at));) {
        struct record *r = e->value;
        if (!holds_pod(r->service, pod_uid))
            continue;
        r->answered_at = 0;
        record_touch(r);
    }
}
