/* catalog/scope.c - watch one namespace or the whole cluster, as far as rights and size allow
 *
 * Watch: services and endpointslices may be listed and watched, in the whole cluster or
 * else in the home namespace.  If endpointslices may not be watched, or do not exist, Endpoints
 * are.  Pods are not watched (decision 020).
 * Lazy: they may be watched, but there are very many: a service is watched by itself once it
 * is requested (lazy.c).
 * Lookup: they may only be read; lookup.c fetches them on request.
 * If a cluster-wide list of services is allowed, the scope is the cluster, even if a watch is
 * not: look-ups in all namespaces are more useful than a watch of one.
 */
#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "catalog/record.h"

LOG_MODULE(catalog);

#define PATH_ROOM 512
#define RECHECK_MS 15000
#define AGAIN_MS (5 * 60 * 1000)

/* The rights are found by trying to use them, the widest first. */
#define SCOPE_STATES(X) /* clang-format off */ \
    X(CLUSTER, cluster) /* tries to list and watch the whole cluster */ \
    X(HOME,    home)    /* that is forbidden, or not wanted: tries one namespace */ \
    X(LIVE,    live)    /* both watches are permitted; they reconnect after failures */ \
    X(LAZY,    lazy)    /* permitted, but large: watches services in use */ \
    X(NOTHING, nothing) /* may not watch: each look-up is a fetch */
/* clang-format on */

enum scope_state {
#define X(NAME, name) SCOPE_##NAME,
    SCOPE_STATES(X)
#undef X
};

struct scope {
    struct catalog *catalog;
    struct list_node node; /* in catalog.scopes */
    enum scope_state state;
    char *only; /* the one namespace that it is for; NULL: the cluster, or else home */
    bool kept;
    const char *ns;    /* the namespace that is watched; NULL: the whole cluster */
    bool by_endpoints; /* endpointslices are refused */
    struct api_watch *services, *slices;
    struct task task;
    /* LIVE with a refused watch: when the refusal is final; NOTHING: when rights are checked
     * again; LAZY: when single services may be watched again. */
    struct timer recheck;
    bool recheck_due;     /* `recheck` has fired */
    enum rights found;    /* the rights that were logged last; RIGHTS_UNKNOWN: none */
    const char *found_ns; /* ... and the namespace */
};

#define X(NAME, name) static enum scope_state in_##name(struct scope *s);
SCOPE_STATES(X)
#undef X

static const struct {
    const char *name;
    enum scope_state (*run)(struct scope *s);
} states[] = {
#define X(NAME, name) [SCOPE_##NAME] = { #name, in_##name },
    SCOPE_STATES(X)
#undef X
};

static bool covers(const struct scope *s, const struct record *r)
{
    return r->what == WHAT_SERVICE && (!s->ns || strcmp(s->ns, r->ns) == 0);
}

/* --- watches --- */

static void close_watches(struct scope *s)
{
    size_t at = 0;

    if (!s->services)
        return;
    api_watch_close(TAKE(s->services));
    api_watch_close(TAKE(s->slices));
    for (struct record *r; (r = set_next(&s->catalog->records, &at));)
        if (covers(s, r))
            feed_forget(r);
}

static struct api_watch *open_watch(struct scope *s, const char *group,
                                    const char *plural,
                                    void (*on_event)(void *, enum api_event, json_t *))
{
    char path[PATH_ROOM];

    snprintf(path, sizeof(path), "%s/%s%s%s%s", group, s->ns ? "namespaces/" : "",
             s->ns ? s->ns : "", s->ns ? "/" : "", plural);
    return api_watch_open(s->catalog->api, path, on_event, s->catalog, &s->task);
}

static void open_watches(struct scope *s, const char *ns)
{
    close_watches(s);
    s->ns = ns;
    s->by_endpoints = false;
    s->services = open_watch(s, "/api/v1", "services", feed_service);
    s->slices = open_watch(s, "/apis/discovery.k8s.io/v1", "endpointslices", feed_slice);
}

/* Watch Endpoints instead of slices: for API servers before 1.21, and for roles that permit only
 * those.  Slices may have been listed already, if only their watch is refused. */
static void watch_endpoints(struct scope *s)
{
    size_t at = 0;

    api_watch_close(s->slices);
    for (struct record *r; (r = set_next(&s->catalog->records, &at));)
        if (covers(s, r))
            feed_forget_slices(r);
    s->by_endpoints = true;
    s->slices = open_watch(s, "/api/v1", "endpoints", feed_endpoints);
}

/* Rebuild the records that have results of look-ups from the watched objects. */
static void touch_all(struct scope *s)
{
    size_t at = 0;

    for (struct record *r; (r = set_next(&s->catalog->records, &at));) {
        if (covers(s, r) && (r->result != ERR_AGAIN || !list_empty(&r->lookups)))
            record_touch(r);
    }
}

/* Close the watches of single services: the scope watches all of them, or may not watch. */
static void close_lazy(struct scope *s)
{
    size_t at = 0;

    for (struct record *r; (r = set_next(&s->catalog->records, &at));)
        if (covers(s, r))
            lazy_close(r);
}

/* --- states --- */

static const struct api_watch_state *services_state(const struct scope *s)
{
    return api_watch_state(s->services);
}

static const struct api_watch_state *slices_state(const struct scope *s)
{
    return api_watch_state(s->slices);
}

/* Was the watch refused by the API server itself?  A refusal by a proxy is not final. */
static bool is_refused(const struct api_watch_state *w)
{
    return w->error.is_status &&
           (w->error.code == ERR_FORBIDDEN || w->error.code == ERR_NOT_FOUND);
}

/* Also true if the cluster is too old for this API group.  Its 404 has no Status, so it counts
 * only while services can be listed. */
static bool slices_are_refused(const struct scope *s)
{
    const struct api_watch_state *slices = slices_state(s);
    bool missing = slices->error.code == ERR_NOT_FOUND && services_state(s)->live;

    return is_refused(slices) || missing;
}

static bool is_above(const struct api_watch_state *w,
                     const struct catalog_settings *limits)
{
    return w->objects > limits->lazy_above || w->bytes > limits->lazy_above_bytes ||
           w->error.code == ERR_LIMIT;
}

/* Is the cluster too large to watch all services, or is that not wanted?  Called after a list
 * was permitted. */
static bool is_large(const struct scope *s)
{
    const struct catalog_settings *settings = &s->catalog->settings;
    const struct api_watch_state *services = services_state(s);

    if (settings->discovery == DISCOVERY_WATCH)
        return false;
    if (settings->discovery == DISCOVERY_LAZY)
        return services->synced || services->objects;
    return is_above(services, settings) || is_above(slices_state(s), settings);
}

/* The next state by the results of the watches.  `here`: not known yet; `narrower`: not even a
 * list of services is permitted. */
static enum scope_state state_by_rights(struct scope *s, enum scope_state here,
                                        enum scope_state narrower)
{
    const struct api_watch_state *services = services_state(s);

    if (is_refused(services) && !services->synced)
        return narrower;
    if (is_large(s))
        return SCOPE_LAZY;
    if (!services->synced)
        return here;
    if (is_refused(services))
        return SCOPE_NOTHING;
    if (slices_are_refused(s) && s->by_endpoints)
        return SCOPE_NOTHING;
    if (slices_are_refused(s))
        watch_endpoints(s);
    return services->live && slices_state(s)->live ? SCOPE_LIVE : here;
}

static enum scope_state in_cluster(struct scope *s)
{
    return state_by_rights(s, SCOPE_CLUSTER, SCOPE_HOME);
}

static enum scope_state in_home(struct scope *s)
{
    return state_by_rights(s, SCOPE_HOME, SCOPE_NOTHING);
}

static enum scope_state first_state(const struct scope *s)
{
    return s->only ? SCOPE_HOME : SCOPE_CLUSTER;
}

/* If a watch is refused later, rights were revoked and are checked again.  That is delayed,
 * since an API server that has just started may refuse requests for some moments. */
static enum scope_state in_live(struct scope *s)
{
    if (is_large(s))
        return SCOPE_LAZY;
    if (!is_refused(services_state(s)) && !slices_are_refused(s)) {
        timer_stop(&s->recheck);
        s->recheck_due = false;
        return SCOPE_LIVE;
    }
    if (s->recheck_due)
        return first_state(s);
    if (!s->recheck.at)
        timer_set(&s->recheck, RECHECK_MS);
    return SCOPE_LIVE;
}

/* Only services that were requested are watched. */
static enum scope_state in_lazy(struct scope *s)
{
    s->recheck_due = false;
    return SCOPE_LAZY;
}

/* Rights may be granted later, and the refusal may have come from a proxy: check again. */
static enum scope_state in_nothing(struct scope *s)
{
    return s->recheck_due ? first_state(s) : SCOPE_NOTHING;
}

static const char *rights_text(const struct scope *s)
{
    if (s->state == SCOPE_LIVE)
        return s->by_endpoints ? "services and endpoints are watched"
                               : "services and endpointslices are watched";
    if (s->state == SCOPE_LAZY)
        return "services are watched once they are requested";
    return s->ns ? "services and pods of one namespace are looked up on demand"
                 : "services and pods are looked up on demand";
}

/* Log the rights, if they have changed. */
static void log_rights(struct scope *s)
{
    static const char *const names[] = {
        [RIGHTS_WATCH] = "watch", [RIGHTS_LAZY] = "lazy", [RIGHTS_LOOKUP] = "lookup"
    };
    enum rights rights = s->state == SCOPE_LIVE   ? RIGHTS_WATCH
                         : s->state == SCOPE_LAZY ? RIGHTS_LAZY
                                                  : RIGHTS_LOOKUP;

    if (s->found == rights && s->found_ns == s->ns)
        return;
    s->found = rights;
    s->found_ns = s->ns;
    log_info(CLUSTER_ID(s->catalog->settings.cluster), "rights found",
             LOG_S("rights", names[rights]), LOG_S("scope", s->ns ? s->ns : "cluster"),
             LOG_S("means", rights_text(s)));
}

static void scope_leave(struct scope *s)
{
    if (s->state == SCOPE_LIVE)
        s->found = RIGHTS_UNKNOWN; /* they were taken away */
    if (s->state == SCOPE_LAZY)
        close_lazy(s);
    s->recheck_due = false;
    timer_stop(&s->recheck);
}

static void scope_enter(struct scope *s, enum scope_state next)
{
    log_debug(CLUSTER_ID(s->catalog->settings.cluster), "watching",
              LOG_S("scope", s->only ? s->only : "cluster"),
              LOG_S("from", states[s->state].name), LOG_S("to", states[next].name));
    scope_leave(s);
    s->state = next;
    switch (next) {
    case SCOPE_CLUSTER:
        scopes_close(s->catalog,
                     false); /* they replaced this scope while it was refused */
        open_watches(s, NULL);
        return;
    case SCOPE_HOME:
        open_watches(s, s->only ? s->only : s->catalog->home_ns);
        return;
    case SCOPE_LIVE:
        touch_all(s);
        break;
    case SCOPE_LAZY:
        close_watches(s);
        break;
    case SCOPE_NOTHING:
        close_watches(s);
        timer_set(&s->recheck, AGAIN_MS);
    }
    log_rights(s);
}

static void on_scope(struct task *t)
{
    struct scope *s = container_of(t, struct scope, task);
    enum scope_state next;

    while ((next = states[s->state].run(s)) != s->state)
        scope_enter(s, next);
}

static void on_recheck(struct timer *t)
{
    struct scope *s = container_of(t, struct scope, recheck);

    s->recheck_due = true;
    task_wake(&s->task);
}

struct scope *scope_open(struct catalog *c, const char *ns, bool kept)
{
    struct scope *s = xcalloc(1, sizeof(*s));

    s->catalog = c;
    s->only = xstrdup_or_null(ns);
    s->kept = kept;
    task_init(&s->task, c->sched, RANK_READ, on_scope);
    timer_init(&s->recheck, c->sched, on_recheck);
    list_append(&c->scopes, &s->node);
    c->scope_count++;
    s->state = first_state(s);
    scope_enter(s, s->state);
    return s;
}

/* Records keep their results, which are not updated any more. */
static void scope_close(struct scope *s)
{
    api_watch_close(TAKE(s->services));
    api_watch_close(TAKE(s->slices));
    timer_stop(&s->recheck);
    task_cancel(&s->task);
    list_remove(&s->node);
    s->catalog->scope_count--;
    free(s->only);
    free(s);
}

/* --- state queries --- */

struct scope *scope_first(const struct catalog *c)
{
    if (list_empty(&c->scopes))
        return NULL;
    return list_first(&c->scopes, struct scope, node);
}

struct scope *scope_of(const struct catalog *c, const char *ns)
{
    list_for_each (s, &c->scopes, struct scope, node)
        if (!s->ns || strcmp(s->ns, ns) == 0)
            return s;
    return NULL;
}

static bool is_decided(const struct scope *s)
{
    return s->found != RIGHTS_UNKNOWN;
}

bool scope_is_narrow(const struct scope *s)
{
    return s->ns && is_decided(s);
}

bool scope_is_lazy(const struct scope *s)
{
    return s->state == SCOPE_LAZY && !s->recheck.at;
}

bool scope_is_live(const struct scope *s)
{
    return s->state == SCOPE_LIVE;
}

bool scope_sees_all(const struct scope *s)
{
    return scope_is_live(s) && services_state(s)->live && slices_state(s)->live;
}

bool scope_by_endpoints(const struct scope *s)
{
    return s->by_endpoints;
}

const char *scope_ns(const struct scope *s)
{
    return s->ns;
}

const char *scopes_other_ns(const struct catalog *c, size_t i)
{
    list_for_each (s, &c->scopes, struct scope, node)
        if (s->ns && strcmp(s->ns, c->home_ns) != 0 && i-- == 0)
            return s->ns;
    return NULL;
}

/* While rights are being checked again, returns the previous ones. */
enum rights scope_rights(const struct scope *s)
{
    return s->found;
}

/* Its last error, not logged here: kube/ logs that the API server cannot be reached. */
static const struct api_error *error_of(const struct scope *s)
{
    if (!s->services)
        return &s->catalog->trouble;
    const struct api_error *services = &services_state(s)->error;
    return services->code ? services : &slices_state(s)->error;
}

bool scopes_are_decided(const struct catalog *c, struct api_error *ret_error)
{
    const struct api_error *error = NULL;
    bool decided = true;

    list_for_each (s, &c->scopes, struct scope, node) {
        if (!s->kept)
            continue;
        decided = decided && is_decided(s);
        if (!error || !error->code)
            error = error_of(s);
    }
    *ret_error = error ? *error : c->trouble;
    return decided;
}

void scopes_close(struct catalog *c, bool kept_too)
{
    list_for_each (s, &c->scopes, struct scope, node) {
        if (!kept_too && s->kept)
            continue;
        if (!kept_too)
            close_watches(s); /* their objects would not be updated any more */
        scope_close(s);
    }
}

void scope_suspend_lazy(struct scope *s)
{
    timer_set(&s->recheck, AGAIN_MS);
}
