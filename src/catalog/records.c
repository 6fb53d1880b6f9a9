/* catalog/records.c - which records there are, and which may be dropped
 *
 * The number of records without watched objects is limited; they are dropped when they were not
 * looked up for a long time.
 */
#include <assert.h>
#include <stdio.h>

#include "base/own.h"
#include "catalog/record.h"

#define RECORDS_MAX 10000 /* records without watched objects */
#define KEY_ROOM 520

static struct str record_key(enum what what, struct str ns, struct str name,
                             char room[static KEY_ROOM])
{
    static const char *const separators[] = {
        [WHAT_SERVICE] = "/",
        [WHAT_POD] = "//",
        [WHAT_DEPLOYMENT] = "///",
    };
    size_t len = str_append(room, KEY_ROOM, 0, ns);
    len = str_append(room, KEY_ROOM, len, str_of(separators[what]));
    return (struct str){ room, str_append(room, KEY_ROOM, len, name) };
}

void record_destroy(struct record *r)
{
    assert(!r->lazy);
    fetch_destroy(r->fetch);
    list_remove(&r->used);
    list_remove(&r->changed);
    spec_unref(r->spec);
    slice_list_finish(&r->slices);
    service_unref(r->service);
    free(r->failure);
    free(r);
}

static bool holds_objects(const struct record *r)
{
    return r->spec || r->slices.count;
}

static void leave_used(struct record *r)
{
    if (!list_empty(&r->used))
        r->catalog->used_count--;
    list_remove(&r->used);
}

/* The list `used` is in the order of use, and has only records that may be dropped. */
void record_used(struct record *r)
{
    leave_used(r);
    if (holds_objects(r))
        return;
    list_append(&r->catalog->used, &r->used);
    r->catalog->used_count++;
}

/* Its pods are not reported as gone, since they may still exist. */
static void drop_record(struct record *r)
{
    struct catalog *c = r->catalog;

    held_forget(r);
    leave_used(r);
    map_remove(&c->records, str_of(r->key));
    record_destroy(r);
}

/* Also true for a lazy watch, which may be reporting an event at this moment. */
static bool in_use(const struct record *r)
{
    return !list_empty(&r->lookups) || r->fetch || r->lazy || !list_empty(&r->changed);
}

/* Drop the least recently used one without a subscriber. */
static bool make_room(struct catalog *c)
{
    list_for_each (r, &c->used, struct record, used) {
        if (in_use(r))
            continue;
        drop_record(r);
        return true;
    }
    return false;
}

void records_prune(struct catalog *c, uint64_t unused_ms)
{
    list_for_each (r, &c->used, struct record, used) {
        if (c->sched->now - r->used_at < unused_ms)
            break;
        if (!in_use(r))
            drop_record(r);
    }
}

static const char *put(char **at, struct str text)
{
    char *to = *at;

    memcpy(to, text.at, text.len);
    to[text.len] = '\0';
    *at += text.len + 1;
    return to;
}

static struct record *record_create(struct catalog *c, enum what what, struct str key,
                                    struct str ns, struct str name)
{
    struct record *r = xcalloc(1, sizeof(*r) + key.len + ns.len + name.len + 3);
    char *at = (char *)(r + 1);

    *r = (struct record){
        .catalog = c,
        .what = what,
        .key = put(&at, key),
        .ns = put(&at, ns),
        .name = put(&at, name),
        .result = ERR_AGAIN,
        .used_at = c->sched->now,
    };
    list_init(&r->lookups);
    list_init(&r->used);
    list_init(&r->changed);
    return r;
}

struct record *record_obtain(struct catalog *c, enum what what, struct str ns,
                             struct str name)
{
    char room[KEY_ROOM];
    struct str key = record_key(what, ns, name, room);
    struct record *r = map_get(&c->records, key);

    if (r)
        return r;
    if (c->used_count >= RECORDS_MAX && !make_room(c))
        return NULL;
    r = record_create(c, what, key, ns, name);
    map_set(&c->records, key, r);
    record_used(r);
    return r;
}

void record_touch(struct record *r)
{
    record_used(r);
    if (list_empty(&r->changed))
        list_append(&r->catalog->changed, &r->changed);
    task_wake(&r->catalog->rebuild);
}

bool record_awaited(const struct record *r)
{
    list_for_each (l, &r->lookups, struct lookup, subscribed)
        if (l->result == ERR_AGAIN)
            return true;
    return false;
}
