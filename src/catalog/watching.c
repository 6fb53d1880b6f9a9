/* catalog/watching.c - find the level of rights, and feed the watched objects to records
 *
 * Watch: services and endpointslices may be listed and watched, in the whole cluster or
 * else in the home namespace.  Pods are not watched (decision 020).
 * Lookup: they may only be read, or only in one namespace; lookup.c asks for what is
 * needed when it is needed.
 * That a cluster-wide list of services works decides the scope even where the watch does
 * not: look-ups in every namespace are worth more than a watch on one.
 */
#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "catalog/record.h"

#define LOG_MODULE LOG_CATALOG
#define PATH_ROOM 512
#define DOUBT_MS 15000
#define AGAIN_MS (5 * 60 * 1000)

#define X(NAME, name) static enum watching_state in_##name(struct catalog *c);
WATCHING_STATES(X)
#undef X

static const struct {
    const char *name;
    enum watching_state (*run)(struct catalog *c);
} states[] = {
#define X(NAME, name) [WATCHING_##NAME] = { #name, in_##name },
    WATCHING_STATES(X)
#undef X
};

/* --- events --- */

static void on_service(void *owner, enum api_event event, json_t *object)
{
    struct catalog *c = owner;
    struct service_spec *spec;
    struct diag why = { "" };

    if (event == API_SYNCED)
        return;
    if (spec_parse(object, &spec, &why) != OK) {
        log_warn(CLUSTER_ID(c->settings.cluster), "object ignored",
                 LOG_S("why", why.text));
        return;
    }
    struct record *r =
        record_obtain(c, WHAT_SERVICE, str_of(spec->ns), str_of(spec->name));
    bool known = r && r->spec && spec->version && r->spec->version == spec->version;
    if (!r || (known && event != API_DELETED)) {
        spec_unref(spec);
        return;
    }
    spec_unref(r->spec);
    r->spec = event == API_DELETED ? NULL : spec;
    if (event == API_DELETED)
        spec_unref(spec);
    record_touch(r);
}

static void set_owner(struct catalog *c, const struct slice *s, struct record *owner)
{
    AUTO_FREE char *key = xasprintf("%s/%s", s->ns, s->name);

    if (owner)
        map_set(&c->watching.owners, str_of(key), owner);
    else
        map_remove(&c->watching.owners, str_of(key));
}

static struct record *owner_of(const struct catalog *c, const struct slice *s)
{
    AUTO_FREE char *key = xasprintf("%s/%s", s->ns, s->name);
    return map_get(&c->watching.owners, str_of(key));
}

static void remove_slice(struct catalog *c, struct record *owner, const struct slice *s)
{
    set_owner(c, s, NULL);
    if (slice_list_remove(&owner->slices, s->name))
        record_touch(owner);
}

static struct record *record_named_by(struct catalog *c, const struct slice *s)
{
    if (!s->service)
        return NULL;
    return record_obtain(c, WHAT_SERVICE, str_of(s->ns), str_of(s->service));
}

/* One that went unseen is reported by its name alone, without the label that says whose
 * it was; that is why the owners are kept. */
static void on_slice(void *owner, enum api_event event, json_t *object)
{
    struct catalog *c = owner;
    struct slice *s;
    struct diag why = { "" };

    if (event == API_SYNCED)
        return;
    if (slice_parse(object, &s, &why) != OK) {
        log_warn(CLUSTER_ID(c->settings.cluster), "object ignored",
                 LOG_S("why", why.text));
        return;
    }
    struct record *before = owner_of(c, s);
    struct record *now = event == API_DELETED ? NULL : record_named_by(c, s);
    if (before && before != now)
        remove_slice(c, before, s);
    if (!now) {
        slice_destroy(s);
        return;
    }
    set_owner(c, s, now);
    if (slice_list_put(&now->slices, s))
        record_touch(now);
}

/* --- what the watches hold --- */

static void forget_record(struct record *r)
{
    spec_unref(TAKE(r->spec));
    slice_list_finish(&r->slices);
    r->answered_at = 0;
    record_touch(r);
    if (r->fetch && fetch_is_note(r->fetch))
        fetch_destroy(TAKE(r->fetch));
    if (record_awaited(r))
        fetch_start(r);
}

static void close_watches(struct catalog *c)
{
    size_t at = 0;

    if (!c->watching.services)
        return;
    api_watch_close(TAKE(c->watching.services));
    api_watch_close(TAKE(c->watching.slices));
    map_finish(&c->watching.owners);
    map_init(&c->watching.owners);
    for (struct map_entry *e; (e = map_next(&c->records, &at));) {
        struct record *r = e->value;
        if (r->what == WHAT_SERVICE)
            forget_record(r);
    }
}

static void open_watches(struct catalog *c, const char *ns)
{
    struct watching *w = &c->watching;
    char services[PATH_ROOM], slices[PATH_ROOM];
    const char *where = ns ? "namespaces/" : "";

    close_watches(c);
    w->ns = ns;
    snprintf(services, sizeof(services), "/api/v1/%s%s%sservices", where, ns ? ns : "",
             ns ? "/" : "");
    snprintf(slices, sizeof(slices), "/apis/discovery.k8s.io/v1/%s%s%sendpointslices",
             where, ns ? ns : "", ns ? "/" : "");
    w->services = api_watch_open(c->api, services, on_service, c, &w->task);
    w->slices = api_watch_open(c->api, slices, on_slice, c, &w->task);
}

/* Whoever asked before gets their next answer from the watches. */
static void touch_all(struct catalog *c)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&c->records, &at));) {
        struct record *r = e->value;
        if (r->what == WHAT_SERVICE &&
            (r->result != ERR_AGAIN || !list_empty(&r->lookups)))
            record_touch(r);
    }
}

/* --- states --- */

static const struct api_watch_state *services_state(const struct catalog *c)
{
    return api_watch_state(c->watching.services);
}

static const struct api_watch_state *slices_state(const struct catalog *c)
{
    return api_watch_state(c->watching.slices);
}

/* By the API server itself: what a proxy on the way says passes. */
static bool is_refused(const struct api_watch_state *s)
{
    return s->error.is_status &&
           (s->error.code == ERR_FORBIDDEN || s->error.code == ERR_NOT_FOUND);
}

/* A cluster too old for their API group is as good as one that forbids them; its 404 has no
 * Status, so services must be seen at the same time. */
static bool slices_are_refused(const struct catalog *c)
{
    const struct api_watch_state *s = slices_state(c);
    return is_refused(s) || (s->error.code == ERR_NOT_FOUND && services_state(c)->live);
}

/* `here`: not decided yet; `narrower`: not even a list of services. */
static enum watching_state probe(struct catalog *c, enum watching_state here,
                                 enum watching_state narrower)
{
    const struct api_watch_state *services = services_state(c);

    if (is_refused(services) && !services->synced)
        return narrower;
    if (services->synced && (is_refused(services) || slices_are_refused(c)))
        return WATCHING_NOTHING;
    return services->live && slices_state(c)->live ? WATCHING_LIVE : here;
}

static enum watching_state in_cluster(struct catalog *c)
{
    return probe(c, WATCHING_CLUSTER, WATCHING_HOME);
}

static enum watching_state in_home(struct catalog *c)
{
    return probe(c, WATCHING_HOME, WATCHING_NOTHING);
}

/* Rights can be taken away: then it is found out anew what is left.  But an API server
 * that has just come up may refuse for some moments what it will allow. */
static enum watching_state in_live(struct catalog *c)
{
    struct watching *w = &c->watching;

    if (!is_refused(services_state(c)) && !slices_are_refused(c)) {
        timer_stop(&w->doubt);
        w->doubted = false;
        return WATCHING_LIVE;
    }
    if (w->doubted)
        return WATCHING_CLUSTER;
    if (!w->doubt.at)
        timer_set(&w->doubt, DOUBT_MS);
    return WATCHING_LIVE;
}

/* Rights can also be given; and who refused may have been somebody on the way. */
static enum watching_state in_nothing(struct catalog *c)
{
    return c->watching.doubted ? WATCHING_CLUSTER : WATCHING_NOTHING;
}

/* Once; not whenever it is found out that nothing has changed. */
static void announce(struct catalog *c)
{
    bool watch = c->watching.state == WATCHING_LIVE;
    const char *ns = c->watching.ns;
    enum rights rights = watch ? RIGHTS_WATCH : RIGHTS_LOOKUP;

    if (c->watching.found == rights && c->watching.found_ns == ns)
        return;
    c->watching.found = rights;
    c->watching.found_ns = ns;
    log_info(
        CLUSTER_ID(c->settings.cluster), "rights found",
        LOG_S("rights", watch ? "watch" : "lookup"), LOG_S("scope", ns ? ns : "cluster"),
        LOG_S("means", watch ? "services and endpointslices are watched"
                       : ns ? "services and pods of one namespace are looked up on demand"
                            : "services and pods are looked up on demand"));
}

static void enter(struct catalog *c, enum watching_state next)
{
    struct watching *w = &c->watching;

    log_debug(CLUSTER_ID(c->settings.cluster), "watching",
              LOG_S("from", states[w->state].name), LOG_S("to", states[next].name));
    if (w->state == WATCHING_LIVE)
        w->found = RIGHTS_UNKNOWN; /* they were taken away */
    w->state = next;
    w->doubted = false;
    switch (next) {
    case WATCHING_CLUSTER:
        open_watches(c, NULL);
        return;
    case WATCHING_HOME:
        open_watches(c, c->home_ns);
        return;
    case WATCHING_LIVE:
        touch_all(c);
        break;
    case WATCHING_NOTHING:
        close_watches(c);
        timer_set(&w->doubt, AGAIN_MS);
    }
    announce(c);
}

static void on_watching(struct task *t)
{
    struct watching *w = container_of(t, struct watching, task);
    struct catalog *c = container_of(w, struct catalog, watching);
    enum watching_state next;

    while ((next = states[w->state].run(c)) != w->state)
        enter(c, next);
}

static void on_doubt(struct timer *t)
{
    struct watching *w = container_of(t, struct watching, doubt);

    w->doubted = true;
    task_wake(&w->task);
}

void watching_start(struct catalog *c)
{
    task_init(&c->watching.task, c->sched, RANK_READ, on_watching);
    timer_init(&c->watching.doubt, c->sched, on_doubt);
    map_init(&c->watching.owners);
    enter(c, WATCHING_CLUSTER);
}

void watching_stop(struct catalog *c)
{
    api_watch_close(TAKE(c->watching.services));
    api_watch_close(TAKE(c->watching.slices));
    map_finish(&c->watching.owners);
    map_init(&c->watching.owners);
    timer_stop(&c->watching.doubt);
    task_cancel(&c->watching.task);
    c->watching.state = WATCHING_NOTHING;
}

/* What was known stays good while the API server is away; that something does not exist
 * is only known while it is there. */
bool watching_answers(const struct catalog *c, const struct record *r)
{
    const char *ns = c->watching.ns;

    if (c->watching.state != WATCHING_LIVE || r->what != WHAT_SERVICE ||
        (ns && strcmp(ns, r->ns) != 0))
        return false;
    return r->spec || (services_state(c)->live && slices_state(c)->live);
}

/* While they are looked for anew, the old ones are as good as any. */
enum rights catalog_rights(const struct catalog *c)
{
    return c->watching.found;
}

const char *catalog_scope(const struct catalog *c)
{
    return c->watching.ns;
}

/* That it cannot be reached is logged by kube/, which knows of every call. */
static const struct api_error *watching_error(const struct catalog *c)
{
    if (!c->watching.services)
        return &c->trouble;
    const struct api_error *services = &services_state(c)->error;
    return services->code ? services : &slices_state(c)->error;
}

bool catalog_ready(const struct catalog *c, struct api_error *ret_error)
{
    if (ret_error)
        *ret_error = *watching_error(c);
    return catalog_rights(c) != RIGHTS_UNKNOWN;
}
