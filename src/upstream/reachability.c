#include "upstream/reachability.h"

#include "base/own.h"

#define REMEMBERED_MAX 4096 /* entries of each map; when it is full it is cleared */

/* The state of a pod or a node. */
struct reach_state {
    bool failed;    /* false: the last connection succeeded */
    uint64_t until; /* ms: when a trial is due, or a success is outdated */
};

static void forget_all(struct map *m)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(m, &at));)
        free(e->value);
    map_finish(m);
    map_init(m);
}

static void set_state(struct map *m, const char *name, bool failed, uint64_t now)
{
    struct reach_state *s = map_get(m, str_of(name));

    if (!s && m->count >= REMEMBERED_MAX)
        forget_all(m);
    if (!s) {
        s = xcalloc(1, sizeof(*s));
        map_set(m, str_of(name), s);
    }
    *s = (struct reach_state){ failed, now + REACHABILITY_MS };
}

static const char *node_of(const struct endpoint *e)
{
    return e->node ? e->node : "";
}

static bool has_failed(const struct map *m, const char *name)
{
    const struct reach_state *s = m->count ? map_get(m, str_of(name)) : NULL;
    return s && s->failed;
}

bool reachability_allows(const struct reachability *r, const struct endpoint *e)
{
    return !has_failed(&r->pods, e->key) && !has_failed(&r->nodes, node_of(e));
}

static bool is_due(const struct map *m, const char *name, uint64_t now)
{
    const struct reach_state *s = map_get(m, str_of(name));
    return !s || !s->failed || now >= s->until;
}

bool reachability_trial_due(struct reachability *r, const struct endpoint *e,
                            uint64_t now)
{
    bool due = !reachability_allows(r, e) && is_due(&r->pods, e->key, now) &&
               is_due(&r->nodes, node_of(e), now);

    if (due && has_failed(&r->pods, e->key))
        set_state(&r->pods, e->key, true, now);
    if (due && has_failed(&r->nodes, node_of(e)))
        set_state(&r->nodes, node_of(e), true, now);
    return due;
}

void reachability_on_success(struct reachability *r, const struct endpoint *e,
                             uint64_t now)
{
    if (r->pods.count)
        reachability_forget(r, e->key);
    set_state(&r->nodes, node_of(e), false, now);
}

void reachability_on_failure(struct reachability *r, const struct endpoint *e,
                             bool network, uint64_t now)
{
    const struct reach_state *node = map_get(&r->nodes, str_of(node_of(e)));
    bool reached_lately = node && !node->failed && now < node->until;

    set_state(&r->pods, e->key, true, now);
    if (network && !reached_lately)
        set_state(&r->nodes, node_of(e), true, now);
}

void reachability_forget(struct reachability *r, const char *pod_key)
{
    free(map_remove(&r->pods, str_of(pod_key)));
}

void reachability_init(struct reachability *r)
{
    map_init(&r->pods);
    map_init(&r->nodes);
}

void reachability_finish(struct reachability *r)
{
    forget_all(&r->pods);
    forget_all(&r->nodes);
}
