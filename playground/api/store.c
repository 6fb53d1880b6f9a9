#include "playground/api/store.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/own.h"
#include "playground/api/object.h"

#define HISTORY 4096
#define FIRST_REVISION 1000 /* so that "0" and "1" are not real revisions */

struct shelf {
    json_t **objects; /* sorted by namespace and name */
    size_t count, room;
};

struct store {
    struct shelf shelves[KINDS];
    uint64_t revision;
    uint64_t oldest;               /* watches may start here or later */
    struct event history[HISTORY]; /* a ring: revision r is at index r % HISTORY */
    struct list_node watchers;
};

struct store *store_create(void)
{
    struct store *s = xcalloc(1, sizeof(*s));
    s->revision = s->oldest = FIRST_REVISION;
    list_init(&s->watchers);
    return s;
}

static void event_finish(struct event *e)
{
    json_decref(e->object);
    json_decref(e->before);
    *e = (struct event){ 0 };
}

void store_destroy(struct store *s)
{
    if (!s)
        return;
    for (size_t k = 0; k < KINDS; k++) {
        for (size_t i = 0; i < s->shelves[k].count; i++)
            json_decref(s->shelves[k].objects[i]);
        free(s->shelves[k].objects);
    }
    for (size_t i = 0; i < HISTORY; i++)
        event_finish(&s->history[i]);
    free(s);
}

uint64_t store_revision(const struct store *s)
{
    return s->revision;
}

/* The index of the object, or the one to insert it at. */
static size_t place_of(const struct shelf *shelf, const char *ns, const char *name,
                       bool *ret_found)
{
    size_t low = 0;
    size_t high = shelf->count;

    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const json_t *o = shelf->objects[middle];
        int order = strcmp(ns, object_namespace(o));
        if (order == 0)
            order = strcmp(name, object_name(o));
        *ret_found |= order == 0;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

json_t *store_get(const struct store *s, enum kind_id kind, const char *ns,
                  const char *name)
{
    bool found;
    size_t i = place_of(&s->shelves[kind], ns, name, &found);
    return found ? s->shelves[kind].objects[i] : NULL;
}

size_t store_count(const struct store *s, enum kind_id kind)
{
    return s->shelves[kind].count;
}

size_t store_place(const struct store *s, enum kind_id kind, const char *ns,
                   const char *name)
{
    bool found;
    return place_of(&s->shelves[kind], ns, name, &found);
}

json_t *store_at(const struct store *s, enum kind_id kind, size_t i)
{
    return s->shelves[kind].objects[i];
}

static void record(struct store *s, enum event_type type, enum kind_id kind,
                   json_t *object, json_t *before)
{
    struct event *e = &s->history[s->revision % HISTORY];
    if (e->revision > s->oldest)
        s->oldest = e->revision;
    event_finish(e);
    *e = (struct event){ s->revision, type, kind, json_incref(object),
                         before ? json_incref(before) : NULL };
    list_for_each (w, &s->watchers, struct store_watcher, node)
        task_wake(w->wake);
}

static void set_text(json_t *metadata, const char *key, const char *value)
{
    json_object_set_new(metadata, key, json_string(value));
}

static void make_uid(char out[static 37])
{
    unsigned char b[16];
    if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
        abort();
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    snprintf(out, 37,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
             b[13], b[14], b[15]);
}

static void keep_or_make(json_t *metadata, const char *key, const json_t *old,
                         const char *made)
{
    const char *before = json_string_value(object_at(old, "metadata", key, NULL));
    if (!json_object_get(metadata, key))
        set_text(metadata, key, before ? before : made);
}

static void stamp(struct store *s, json_t *object, const json_t *old)
{
    json_t *metadata = json_object_get(object, "metadata");
    char uid[37];
    char now[TIME_TEXT];
    char revision[24];

    make_uid(uid);
    time_text(time(NULL), now);
    snprintf(revision, sizeof(revision), "%llu", (unsigned long long)++s->revision);
    keep_or_make(metadata, "uid", old, uid);
    keep_or_make(metadata, "creationTimestamp", old, now);
    set_text(metadata, "resourceVersion", revision);
}

static void insert(struct shelf *shelf, size_t at, json_t *object)
{
    if (shelf->count == shelf->room) {
        shelf->room = shelf->room ? shelf->room * 2 : 16;
        shelf->objects = xrealloc(shelf->objects, shelf->room * sizeof(json_t *));
    }
    memmove(shelf->objects + at + 1, shelf->objects + at,
            (shelf->count - at) * sizeof(json_t *));
    shelf->objects[at] = object;
    shelf->count++;
}

void store_put(struct store *s, enum kind_id kind, json_t *object)
{
    struct shelf *shelf = &s->shelves[kind];
    bool found;
    size_t at = place_of(shelf, object_namespace(object), object_name(object), &found);
    json_t *old = found ? shelf->objects[at] : NULL;

    stamp(s, object, old);
    if (found)
        shelf->objects[at] = object;
    else
        insert(shelf, at, object);
    record(s, found ? EVENT_MODIFIED : EVENT_ADDED, kind, object, old);
    json_decref(old);
}

bool store_delete(struct store *s, enum kind_id kind, const char *ns, const char *name)
{
    struct shelf *shelf = &s->shelves[kind];
    bool found;
    size_t at = place_of(shelf, ns, name, &found);
    if (!found)
        return false;

    json_t *last = json_deep_copy(shelf->objects[at]);
    json_decref(shelf->objects[at]);
    shelf->count--;
    memmove(shelf->objects + at, shelf->objects + at + 1,
            (shelf->count - at) * sizeof(json_t *));
    stamp(s, last, NULL);
    record(s, EVENT_DELETED, kind, last, NULL);
    json_decref(last);
    return true;
}

static enum err apply_one(struct store *s, json_t *object, struct diag *why)
{
    const char *version = json_string_value(json_object_get(object, "apiVersion"));
    const char *name = json_string_value(json_object_get(object, "kind"));
    const struct kind *kind = version && name ? kind_by_name(version, name) : NULL;

    if (!kind)
        return diag_set(why, ERR_CONFIG, "cannot hold a %s %s", version ? version : "",
                        name ? name : "thing without a kind");
    if (!*object_name(object) || (kind->namespaced && !*object_namespace(object)))
        return diag_set(why, ERR_CONFIG, "a %s without a name or namespace", name);
    store_put(s, kind_number(kind), json_deep_copy(object));
    return OK;
}

enum err store_apply(struct store *s, json_t *manifest, struct diag *why)
{
    const json_t *items =
        json_is_array(manifest) ? manifest : json_object_get(manifest, "items");
    enum err e = OK;
    size_t i;
    json_t *item;

    if (!items)
        return apply_one(s, manifest, why);
    json_array_foreach(items, i, item) if (!e) e = apply_one(s, item, why);
    return e;
}

const struct event *store_event_after(const struct store *s, uint64_t revision)
{
    if (revision >= s->revision)
        return NULL;
    const struct event *e = &s->history[(revision + 1) % HISTORY];
    return e->revision == revision + 1 ? e : NULL;
}

uint64_t store_oldest(const struct store *s)
{
    return s->oldest;
}

void store_forget(struct store *s)
{
    for (size_t i = 0; i < HISTORY; i++)
        event_finish(&s->history[i]);
    s->oldest = ++s->revision;
}

void store_watch(struct store *s, struct store_watcher *w, struct task *wake)
{
    w->wake = wake;
    list_append(&s->watchers, &w->node);
}

void store_unwatch(struct store_watcher *w)
{
    if (w->node.next)
        list_remove(&w->node);
}
