/* catalog/catalog.c - look-ups, and the results that records hold */
#include "catalog/catalog.h"

#include "base/log.h"
#include "base/own.h"
#include "catalog/record.h"

LOG_MODULE(catalog);

#define NEGATIVE_KEEP_MS 1000
#define TROUBLE_KEEP_MS 250
#define THROTTLED_KEEP_MAX_MS 10000

#define LARGE_SERVICE 200         /* endpoints */
#define LARGE_ENDPOINTS_PER_MS 10 /* 5,000: every 500 ms */

/* --- results --- */

static void lookup_answer(struct lookup *l, const struct record *r)
{
    l->result = r->result;
    if (r->failure) {
        l->error = r->failure->error;
        l->missing_verb = r->failure->verb;
        l->missing_resource = r->failure->resource;
    } else {
        l->error = (struct api_error){ .code = OK };
        l->missing_verb = l->missing_resource = NULL;
    }
    l->service = r->result == OK ? service_ref(r->service) : NULL;
}

static void wake_lookups(struct record *r, bool changed)
{
    list_for_each (l, &r->lookups, struct lookup, subscribed) {
        bool waits = l->result == ERR_AGAIN;
        if (waits)
            lookup_answer(l, r);
        if (waits || changed)
            task_wake(l->wake);
    }
}

static void settle(struct record *r, enum err result, uint64_t keep_ms)
{
    r->result = result;
    r->keep_ms = (uint32_t)keep_ms;
    r->answered_at = r->catalog->sched->now;
    fetch_destroy(TAKE(r->fetch));
}

static void log_entry(const struct record *r)
{
    log_debug(CLUSTER_ID(r->catalog->settings.cluster), "entry",
              LOG_S("namespace", r->ns), LOG_S("name", r->name),
              LOG_U("endpoints", r->service->endpoint_count),
              LOG_S("ready", entry_has_ready(r->service) ? "yes" : "no"));
}

/* Each change once, also if the entry was dropped meanwhile and is built again. */
static void log_left_out(struct record *r, const struct service *s)
{
    if (r->ports_left_out == s->ports_left_out &&
        r->endpoints_left_out == s->endpoints_left_out)
        return;
    r->ports_left_out = (uint32_t)s->ports_left_out;
    r->endpoints_left_out = (uint32_t)s->endpoints_left_out;
    log_warn(CLUSTER_ID(r->catalog->settings.cluster),
             "the service has more ports or endpoints than are served",
             LOG_S("namespace", r->ns), LOG_S("name", r->name),
             LOG_U("ports_left_out", s->ports_left_out),
             LOG_U("endpoints_left_out", s->endpoints_left_out));
}

static void publish_record(struct record *r, struct service *service)
{
    uint64_t now = r->catalog->sched->now;
    bool changed = r->result != OK || !entry_equal(r->service, service);

    if (entry_has_ready(service) || (r->service && entry_has_ready(r->service)))
        service->last_ready = now;
    else if (r->service)
        service->last_ready = r->service->last_ready;

    free(TAKE(r->failure));
    settle(r, OK, r->catalog->settings.keep_ms);
    if (changed) {
        log_left_out(r, service);
        held_replace(r, service);
        log_entry(r);
        record_built(r);
    } else {
        service_unref(service);
    }
    wake_lookups(r, changed);
}

static bool is_final(enum err e)
{
    return e == ERR_NOT_FOUND || e == ERR_FORBIDDEN || e == ERR_UNAUTHORIZED;
}

static uint64_t keep_failure_ms(const struct api_error *e)
{
    uint64_t ms = (uint64_t)e->retry_after * 1000;

    if (is_final(e->code))
        return NEGATIVE_KEEP_MS;
    if (e->code == ERR_LIMIT)
        return THROTTLED_KEEP_MAX_MS; /* a list that is too large is costly to try again */
    if (ms > THROTTLED_KEEP_MAX_MS)
        ms = THROTTLED_KEEP_MAX_MS;
    return ms > TROUBLE_KEEP_MS ? ms : TROUBLE_KEEP_MS;
}

/* `error` may be r->failure->error itself. */
static void note_failure(struct record *r, const struct api_error *error,
                         const char *verb, const char *resource)
{
    struct failure failure = { *error, verb, resource };

    if (!r->failure)
        r->failure = xmalloc(sizeof(*r->failure));
    *r->failure = failure;
}

static void fail_record(struct record *r, const struct api_error *error, const char *verb,
                        const char *resource)
{
    uint64_t keep_ms = keep_failure_ms(error);
    bool forbidden = error->code == ERR_FORBIDDEN;

    /* A refresh ahead of need has failed: keep the cached result until it expires. */
    if (r->result == OK && !is_final(error->code) && !record_awaited(r)) {
        r->retry_at = r->catalog->sched->now + keep_ms;
        fetch_destroy(TAKE(r->fetch));
        return;
    }
    bool changed = r->result != error->code;
    note_failure(r, error, forbidden ? verb : NULL, forbidden ? resource : NULL);
    settle(r, error->code, keep_ms);
    if (error->code == ERR_NOT_FOUND) {
        held_replace(r, NULL);
        r->kept = false;
    }
    wake_lookups(r, changed);
}

static void fail_unknown(struct record *r)
{
    struct api_error e = { .code = ERR_NOT_FOUND, .status = 404, .is_status = true };

    diag_set(&e.why, OK, "services \"%s\" not found", r->name);
    fail_record(r, &e, NULL, NULL);
}

/* Should pods be listed?  True if no endpoint is ready by the slices, or if they have only
 * addresses: the pods may serve, or explain why none can. */
static bool lacks_note(const struct record *r, const struct service *s)
{
    uint64_t age = r->catalog->sched->now - r->noted_at;

    if (s->kind != SERVICE_NORMAL || !(s->has_selector || s->by_address) ||
        (entry_has_ready(s) && !s->from_pods))
        return false;
    return r->noted_at == 0 || age >= r->catalog->settings.keep_ms;
}

static void request_note(struct record *r)
{
    if (r->fetch && !fetch_is_note(r->fetch))
        fetch_destroy(TAKE(r->fetch));
    fetch_note(r);
}

static void build_record(struct record *r, const struct pod_list *pods)
{
    list_remove(&r->changed);
    r->built_at = r->catalog->sched->now;
    if (!r->spec) {
        fail_unknown(r);
        return;
    }
    struct service *s =
        entry_from_slices(r->spec, &r->slices, pods, &r->catalog->missing);
    bool serves_by_pods = record_serves_by_pods(r) && !entry_has_ready(s);
    /* Do not publish before the pods are listed: a look-up that waits also gets the reason why
     * no endpoint is ready, and pods that serve although the slices do not have them yet must
     * not disappear because a slice has changed. */
    if (!pods && (serves_by_pods || (record_awaited(r) && lacks_note(r, s)))) {
        service_unref(s);
        request_note(r);
        return;
    }
    r->noted_at = pods ? r->catalog->sched->now : 0;
    publish_record(r, s);
}

/* The entry of a large service is not rebuilt for each change: in a rollout its pods change one
 * after the other, and each rebuild takes milliseconds. */
static uint64_t due_at(const struct record *r)
{
    size_t count = r->service ? r->service->endpoint_count : 0;

    return count < LARGE_SERVICE ? 0 : r->built_at + count / LARGE_ENDPOINTS_PER_MS;
}

static bool is_due(const struct record *r)
{
    return r->catalog->sched->now >= due_at(r);
}

static void rebuild(struct record *r)
{
    bool asked = r->result != ERR_AGAIN || !list_empty(&r->lookups);

    list_remove(&r->changed);
    if (asked && watching_covers(r->catalog, r))
        build_record(r, NULL);
}

/* Only entries that were looked up are built. */
static void on_rebuild(struct task *t)
{
    struct catalog *c = container_of(t, struct catalog, rebuild);
    uint64_t next = 0;

    list_for_each (r, &c->changed, struct record, changed) {
        if (is_due(r))
            rebuild(r);
        else if (!next || due_at(r) < next)
            next = due_at(r);
    }
    timer_set_at(&c->rebuild_later, next);
}

static void on_rebuild_later(struct timer *t)
{
    task_wake(&container_of(t, struct catalog, rebuild_later)->rebuild);
}

/* --- look-ups --- */

/* True: the record holds a result from the watches. */
static bool use_watched(struct record *r)
{
    enum err wanted = r->spec ? OK : ERR_NOT_FOUND;

    bool changed = !list_empty(&r->changed) && is_due(r);

    if (r->result != wanted || r->answered_at == 0 || changed)
        build_record(r, NULL);
    if (!r->fetch && r->result == OK && lacks_note(r, r->service))
        fetch_note(r);
    return !r->fetch;
}

static bool is_fresh(const struct record *r, uint64_t max_age_ms)
{
    uint64_t age = r->catalog->sched->now - r->answered_at;

    if (r->result == ERR_AGAIN || r->answered_at == 0)
        return false;
    if (r->result == ERR_THROTTLED)
        return age < r->keep_ms;
    return age < r->keep_ms && age < max_age_ms;
}

/* A result in use is fetched again after half of its time, so that no request waits. */
static void refresh_ahead(struct record *r)
{
    uint64_t now = r->catalog->sched->now;

    if (r->result == OK && now - r->answered_at > r->keep_ms / 2 && now >= r->retry_at)
        fetch_start(r);
}

static bool use_fetched(struct record *r, uint64_t max_age_ms)
{
    if (!is_fresh(r, max_age_ms)) {
        fetch_start(r);
        return false;
    }
    refresh_ahead(r);
    return true;
}

static void subscribe(struct lookup *l, struct record *r, struct task *wake)
{
    l->result = ERR_AGAIN;
    l->wake = wake;
    l->entry = r;
    list_init(&l->subscribed);
    list_append(&r->lookups, &l->subscribed);
}

static void refuse(struct lookup *l, enum err e, const char *what, struct str name)
{
    l->result = l->error.code = e;
    if (e == ERR_LIMIT)
        diag_set(&l->error.why, e, "too many names are being looked up");
    else
        diag_set(&l->error.why, e, "%s \"%.*s\" not found", what, STR_ARG(name));
}

static const char *const plurals[] = {
    [WHAT_SERVICE] = "services",
    [WHAT_POD] = "pods",
    [WHAT_DEPLOYMENT] = "deployments",
};

static void catalog_look_up(struct catalog *c, enum what what, struct str ns,
                            struct str name, uint64_t max_age_ms, struct lookup *l,
                            struct task *wake)
{
    lookup_finish(l);
    if (!is_plain_name(ns) || !is_plain_name(name)) {
        refuse(l, ERR_NOT_FOUND, plurals[what], name);
        return;
    }
    struct record *r = record_obtain(c, what, ns, name);
    if (!r) {
        refuse(l, ERR_LIMIT, NULL, name);
        return;
    }
    r->used_at = c->sched->now;
    record_used(r);
    bool known = watching_covers(c, r) ? use_watched(r) : use_fetched(r, max_age_ms);
    subscribe(l, r, wake);
    if (known)
        lookup_answer(l, r);
    watching_on_lookup(r);
}

void catalog_lookup(struct catalog *c, struct str ns, struct str name,
                    uint64_t max_age_ms, struct lookup *l, struct task *wake)
{
    catalog_look_up(c, WHAT_SERVICE, ns, name, max_age_ms, l, wake);
}

void catalog_lookup_pod(struct catalog *c, struct str ns, struct str pod,
                        uint64_t max_age_ms, struct lookup *l, struct task *wake)
{
    catalog_look_up(c, WHAT_POD, ns, pod, max_age_ms, l, wake);
}

void catalog_lookup_deployment(struct catalog *c, struct str ns, struct str name,
                               uint64_t max_age_ms, struct lookup *l, struct task *wake)
{
    catalog_look_up(c, WHAT_DEPLOYMENT, ns, name, max_age_ms, l, wake);
}

bool lookup_is_watched(const struct lookup *l)
{
    const struct record *r = l->entry;
    return r && watching_covers(r->catalog, r);
}

void lookup_keep(const struct lookup *l)
{
    if (l->entry)
        record_keep(l->entry);
}

void lookup_finish(struct lookup *l)
{
    if (l->entry)
        list_remove(&l->subscribed);
    service_unref(l->service);
    *l = (struct lookup){ .result = ERR_CANCELLED };
}

/* --- the catalog --- */

static const struct record_ops record_ops = {
    .publish = publish_record,
    .fail = fail_record,
    .build = build_record,
};

#define PRUNE_MS 60000
#define UNUSED_MS 600000

static void on_prune(struct timer *t)
{
    struct catalog *c = container_of(t, struct catalog, prune);

    lazy_close_unused(c, UNUSED_MS);
    records_prune(c, UNUSED_MS);
    timer_set(&c->prune, PRUNE_MS);
}

struct catalog *catalog_create(struct sched *sched, struct api *api,
                               const struct catalog_settings *settings)
{
    struct catalog *c = xcalloc(1, sizeof(*c));
    const char *home =
        settings->home_ns && *settings->home_ns ? settings->home_ns : "default";

    c->ops = &record_ops;
    c->sched = sched;
    c->api = api;
    c->settings = *settings;
    c->home_ns = xstrdup(home);
    set_init(&c->records, record_set_key);
    map_init(&c->held);
    set_init(&c->slices, slice_set_key);
    map_init(&c->refusals);
    list_init(&c->scopes);
    list_init(&c->lazy);
    map_init(&c->missing);
    map_init(&c->owners);
    list_init(&c->used.list);
    list_init(&c->built.list);
    list_init(&c->changed);
    task_init(&c->rebuild, sched, RANK_READ, on_rebuild);
    timer_init(&c->rebuild_later, sched, on_rebuild_later);
    timer_init(&c->prune, sched, on_prune);
    timer_set(&c->prune, PRUNE_MS);
    watching_start(c);
    return c;
}

/* Look-ups may outlive the catalog; they get no further wake-ups. */
static void detach_lookups(struct record *r)
{
    list_for_each (l, &r->lookups, struct lookup, subscribed) {
        list_remove(&l->subscribed);
        l->entry = NULL;
        if (l->result == ERR_AGAIN)
            l->result = l->error.code = ERR_CANCELLED;
    }
}

static void forget_all(struct catalog *c)
{
    size_t at = 0;

    for (struct record *r; (r = set_next(&c->records, &at));) {
        detach_lookups(r);
        record_destroy(r);
    }
    set_finish(&c->records);
    map_finish(&c->held);
    set_finish(&c->slices);
    refusals_finish(c);
    map_finish(&c->missing);
}

void catalog_stop(struct catalog *c)
{
    watching_stop(c);
    forget_all(c);
}

void catalog_destroy(struct catalog *c)
{
    if (!c)
        return;
    catalog_stop(c);
    task_cancel(&c->rebuild);
    timer_stop(&c->rebuild_later);
    timer_stop(&c->prune);
    address_owners_forget(c);
    free(c->home_ns);
    free(c);
}

void catalog_on_gone(struct catalog *c, void (*gone)(void *owner, const char *pod_key),
                     void *owner)
{
    c->gone = gone;
    c->gone_owner = owner;
}

void catalog_on_change(struct catalog *c,
                       void (*change)(void *owner, const struct service *before,
                                      const struct service *after),
                       void *owner)
{
    c->change = change;
    c->change_owner = owner;
}

/* While rights are being checked again, returns the previous ones. */
enum rights catalog_rights(const struct catalog *c)
{
    const struct scope *s = scope_first(c);
    return s ? scope_rights(s) : RIGHTS_LOOKUP;
}

const char *catalog_scope(const struct catalog *c)
{
    const struct scope *s = scope_first(c);
    return s ? scope_ns(s) : NULL;
}

bool catalog_ready(const struct catalog *c, struct api_error *ret_error)
{
    struct api_error error;
    bool ready = scopes_are_decided(c, &error);

    if (ret_error)
        *ret_error = error;
    return ready;
}

static bool is_listed(const struct record *r)
{
    return r->what == WHAT_SERVICE && (r->spec || (r->service && r->result == OK));
}

size_t catalog_count(const struct catalog *c)
{
    size_t count = 0, at = 0;

    for (struct record *r; (r = set_next(&c->records, &at));)
        count += is_listed(r);
    return count;
}

static int by_name(const void *a, const void *b)
{
    const struct record *x = *(struct record *const *)a;
    const struct record *y = *(struct record *const *)b;
    int differ = strcmp(x->ns, y->ns);

    return differ ? differ : strcmp(x->name, y->name);
}

/* The callback may look up other services, and so drop this entry. */
static void list_one(struct record *r, void (*each)(void *owner, const struct service *),
                     void *owner)
{
    if (r->result == ERR_AGAIN)
        build_record(r, NULL);
    if (!r->service)
        return;
    struct service *s = service_ref(r->service);
    each(owner, s);
    service_unref(s);
}

void catalog_each(const struct catalog *c,
                  void (*each)(void *owner, const struct service *), void *owner)
{
    catalog_each_wanted(c, NULL, each, owner);
}

void catalog_each_wanted(const struct catalog *c,
                         bool (*wants)(void *owner, const char *ns, const char *name),
                         void (*each)(void *owner, const struct service *), void *owner)
{
    AUTO_FREE struct record **found = xcalloc(c->records.count + 1, sizeof(*found));
    size_t count = 0, at = 0;

    for (struct record *r; (r = set_next(&c->records, &at));) {
        if (!is_listed(r))
            continue;
        found[count++] = r;
        r->listings++;
    }
    qsort(found, count, sizeof(*found), by_name);
    for (size_t i = 0; i < count; i++)
        if (!wants || wants(owner, found[i]->ns, found[i]->name))
            list_one(found[i], each, owner);
    for (size_t i = 0; i < count; i++)
        found[i]->listings--;
}
