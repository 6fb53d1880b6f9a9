/* catalog/lazy.c - watches of single services, of those that were requested lately
 *
 * Each service has two watches with selectors: of the service by its name, which a role for only
 * that name permits, and of its endpointslices by their label.  The number of watched services
 * is limited: the least recently requested one is closed for another, unless it was requested
 * within IN_USE_MS, and is looked up from then on.
 */
#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "catalog/record.h"

LOG_MODULE(catalog);

#define LAZY_MAX 50     /* 100 streams: the maximum of one HTTP/2 connection of curl */
#define IN_USE_MS 10000 /* a service requested within this time is not replaced */
#define PATH_ROOM 1024

struct lazy_watch {
    struct record *record;
    struct list_node node; /* in catalog.lazy */
    struct api_watch *services, *slices;
    bool by_endpoints;
    bool live; /* both were connected */
    void (*on_refused)(struct record *r);
    struct task task;
};

static bool is_connected(const struct lazy_watch *l)
{
    return api_watch_state(l->services)->live && api_watch_state(l->slices)->live;
}

static bool lazy_is_refused(const struct api_watch *w)
{
    const struct api_error *e = &api_watch_state(w)->error;
    return e->code == ERR_FORBIDDEN || e->code == ERR_NOT_FOUND;
}

static struct api_watch *
lazy_open_watch(struct lazy_watch *l, const char *group, const char *plural,
                const char *selector, void (*on_event)(void *, enum api_event, json_t *))
{
    struct record *r = l->record;
    char path[PATH_ROOM];

    snprintf(path, sizeof(path), "%s/namespaces/%s/%s?%s%s", group, r->ns, plural,
             selector, r->name);
    return api_watch_open(r->catalog->api, path, on_event, r->catalog, &l->task);
}

static void open_slices(struct lazy_watch *l)
{
    if (l->by_endpoints)
        l->slices = lazy_open_watch(l, "/api/v1", "endpoints",
                                    "fieldSelector=metadata.name%3D", feed_endpoints);
    else
        l->slices =
            lazy_open_watch(l, "/apis/discovery.k8s.io/v1", "endpointslices",
                            "labelSelector=kubernetes.io%2Fservice-name%3D", feed_slice);
}

static void give_up(struct lazy_watch *l)
{
    struct record *r = l->record;

    log_info(CLUSTER_ID(r->catalog->settings.cluster),
             "watching a single service is not permitted: looking it up",
             LOG_S("service", r->key));
    l->on_refused(r);
    lazy_close(r);
}

static void on_lazy(struct task *t)
{
    struct lazy_watch *l = container_of(t, struct lazy_watch, task);
    bool slices_refused = lazy_is_refused(l->slices);

    if (lazy_is_refused(l->services) || (slices_refused && l->by_endpoints)) {
        give_up(l);
        return;
    }
    if (slices_refused) {
        l->by_endpoints = true;
        l->live = false;
        api_watch_close(TAKE(l->slices));
        feed_forget_slices(l->record);
        open_slices(l);
        return;
    }
    if (l->live || !is_connected(l))
        return;
    l->live = true;
    record_touch(l->record);
}

/* Close the least recently requested one.  False: all are in use, and replacing them again and
 * again would cost more than look-ups. */
static bool lazy_make_room(struct catalog *c)
{
    if (c->lazy_count < LAZY_MAX)
        return true;
    struct record *least = list_first(&c->lazy, struct lazy_watch, node)->record;
    if (c->sched->now - least->used_at < IN_USE_MS)
        return false;
    lazy_close(least);
    return true;
}

void lazy_watch(struct record *r, bool by_endpoints, void (*on_refused)(struct record *r))
{
    struct catalog *c = r->catalog;

    if (!lazy_make_room(c))
        return;
    struct lazy_watch *l = xcalloc(1, sizeof(*l));
    l->record = r;
    l->by_endpoints = by_endpoints;
    l->on_refused = on_refused;
    task_init(&l->task, c->sched, RANK_READ, on_lazy);
    list_append(&c->lazy, &l->node);
    c->lazy_count++;
    r->lazy = l;
    l->services = lazy_open_watch(l, "/api/v1", "services",
                                  "fieldSelector=metadata.name%3D", feed_service);
    open_slices(l);
}

bool lazy_answers(const struct record *r)
{
    const struct lazy_watch *l = r->lazy;
    return l->live && (r->spec || is_connected(l));
}

void lazy_touch(struct record *r)
{
    list_remove(&r->lazy->node);
    list_append(&r->catalog->lazy, &r->lazy->node);
}

void lazy_finish(struct record *r)
{
    struct lazy_watch *l = TAKE(r->lazy);

    if (!l)
        return;
    api_watch_close(l->services);
    api_watch_close(l->slices);
    task_cancel(&l->task);
    list_remove(&l->node);
    r->catalog->lazy_count--;
    free(l);
}

void lazy_close(struct record *r)
{
    if (!r->lazy)
        return;
    lazy_finish(r);
    feed_forget(r);
}

void lazy_close_unused(struct catalog *c, uint64_t unused_ms)
{
    list_for_each (l, &c->lazy, struct lazy_watch, node) {
        if (c->sched->now - l->record->used_at < unused_ms)
            return;
        lazy_close(l->record);
    }
}
