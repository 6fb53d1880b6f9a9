/* catalog/feed.c - store the objects that watches report in records
 *
 * Watches of a whole cluster, of a namespace and of one service report to these functions.
 */
#include <assert.h>

#include "base/log.h"
#include "base/own.h"
#include "catalog/record.h"

LOG_MODULE(catalog);

void feed_service(void *owner, enum api_event event, json_t *object)
{
    struct catalog *c = owner;
    struct service_spec *spec;
    struct diag why = { "" };

    if (event == API_SYNCED)
        return;
    if (spec_parse(object, &spec, &why) != OK) {
        log_warn(CLUSTER_ID(c->settings.cluster), "object ignored",
                 LOG_S("reason", why.text));
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

/* Its record's list drops it. */
static void remove_slice(struct slice *s)
{
    struct record *owner = s->owner;

    if (slice_list_remove(&owner->slices, s->name))
        record_touch(owner);
}

/* `before`: the slice of that name, which is not in c->slices. */
static void put_slice(struct catalog *c, struct record *owner, struct slice *before,
                      struct slice *s)
{
    bool changed = slice_list_put(&owner->slices, s);
    struct slice *kept = changed ? s : before;

    assert(kept); /* the list has this version already only if it was there before */
    kept->owner = owner;
    set_add(&c->slices, kept);
    if (changed)
        record_touch(owner);
}

static struct record *record_named_by(struct catalog *c, const struct slice *s)
{
    if (!s->service)
        return NULL;
    return record_obtain(c, WHAT_SERVICE, str_of(s->ns), str_of(s->service));
}

/* A slice that was deleted while no watch was connected is reported with its name only, without
 * the label of its service; c->slices has it with its record. */
void feed_slice(void *owner, enum api_event event, json_t *object)
{
    struct catalog *c = owner;
    struct slice *s;
    struct diag why = { "" };

    if (event == API_SYNCED)
        return;
    if (slice_parse(object, &s, &why) != OK) {
        log_warn(CLUSTER_ID(c->settings.cluster), "object ignored",
                 LOG_S("reason", why.text));
        return;
    }
    struct slice *before = set_remove(&c->slices, str_of(s->key));
    struct record *now = event == API_DELETED ? NULL : record_named_by(c, s);
    if (before && before->owner != now)
        remove_slice(TAKE(before));
    if (now)
        put_slice(c, now, before, s);
    else
        slice_destroy(s);
}

/* Endpoints have the name of their service.  Each event brings all of them. */
void feed_endpoints(void *owner, enum api_event event, json_t *object)
{
    struct catalog *c = owner;
    struct slice_list slices = { 0 };
    struct diag why = { "" };
    char *ns, *name;

    if (event == API_SYNCED)
        return;
    if (endpoints_parse(object, &slices, &ns, &name, &why) != OK) {
        log_warn(CLUSTER_ID(c->settings.cluster), "object ignored",
                 LOG_S("reason", why.text));
        return;
    }
    struct record *r = record_obtain(c, WHAT_SERVICE, str_of(ns), str_of(name));
    free(ns);
    free(name);
    if (!r) {
        slice_list_finish(&slices);
        return;
    }
    feed_forget_slices(r);
    if (event == API_DELETED)
        slice_list_finish(&slices);
    r->slices = slices;
    record_touch(r);
}

void feed_forget_slices(struct record *r)
{
    if (!r->slices.count)
        return;
    for (size_t i = 0; i < r->slices.count; i++)
        set_remove(&r->catalog->slices, str_of(slice_list_at(&r->slices, i)->key));
    slice_list_finish(&r->slices);
    record_touch(r);
}

void feed_forget(struct record *r)
{
    feed_forget_slices(r);
    spec_unref(TAKE(r->spec));
    r->answered_at = 0;
    record_touch(r);
    if (r->fetch && fetch_is_note(r->fetch))
        fetch_destroy(TAKE(r->fetch));
    if (record_awaited(r))
        fetch_start(r);
}
