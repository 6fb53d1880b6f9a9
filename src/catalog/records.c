/* catalog/records.c - which records there are, and which may be dropped
 *
 * The number of records without watched objects is limited; they are dropped when they were not
 * looked up for a long time.  Of those with watched objects the entry is dropped, which is built
 * again at the next look-up, unless a connection was made from it.
 */
#include <assert.h>
#include <stdio.h>

#include "base/own.h"
#include "catalog/record.h"

#define RECORDS_MAX 10000 /* records without watched objects */
#define ENTRIES_MAX 500   /* of watched services, neither held by a look-up nor kept */
#define DROP_TRIES 4      /* entries in use that are skipped to drop one that is not */
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

static bool holds_objects(const struct record *r)
{
    return r->spec || r->slices.count;
}

struct str record_set_key(const void *record)
{
    const struct record *r = record;

    return (struct str){ r->key, r->key_len };
}

static struct record_queue *queue_of(const struct record *r)
{
    struct catalog *c = r->catalog;

    if (!holds_objects(r))
        return &c->used;
    return r->service && !r->kept ? &c->built : NULL;
}

static void leave_queue(struct record *r)
{
    if (r->queue)
        r->queue->count--;
    r->queue = NULL;
    list_remove(&r->used);
}

void record_destroy(struct record *r)
{
    assert(!r->lazy);
    fetch_destroy(r->fetch);
    leave_queue(r);
    list_remove(&r->changed);
    spec_unref(r->spec);
    slice_list_finish(&r->slices);
    service_unref(r->service);
    free(r->failure);
    free(r);
}

/* The queues are in the order of use, but for entries that could not be dropped. */
void record_used(struct record *r)
{
    struct record_queue *q = queue_of(r);

    leave_queue(r);
    if (!q)
        return;
    list_append(&q->list, &r->used);
    q->count++;
    r->queue = q;
}

/* Also true for a lazy watch, which may be reporting an event at this moment. */
static bool in_use(const struct record *r)
{
    return !list_empty(&r->lookups) || r->fetch || r->lazy || !list_empty(&r->changed);
}

/* May the record itself be dropped?  That of an entry that is listed may not. */
static bool may_drop(const struct record *r)
{
    return !in_use(r) && !r->listings;
}

/* Its pods are not reported as gone: they may still exist, and no connection to them was made
 * from this entry. */
static void drop_entry(struct record *r)
{
    held_forget(r);
    leave_queue(r);
    service_unref(TAKE(r->service));
    r->result = ERR_AGAIN;
    r->answered_at = r->noted_at = 0;
}

static void limit_entries(struct catalog *c)
{
    for (size_t i = 0; i < DROP_TRIES && c->built.count > ENTRIES_MAX; i++) {
        struct record *r = list_first(&c->built.list, struct record, used);
        if (in_use(r))
            record_used(r);
        else
            drop_entry(r);
    }
}

/* It becomes the last of its queue, so that it is not dropped itself. */
void record_built(struct record *r)
{
    if (r->queue != queue_of(r) || r->queue == &r->catalog->built)
        record_used(r);
    limit_entries(r->catalog);
}

void record_keep(struct record *r)
{
    if (r->kept)
        return;
    r->kept = true;
    record_used(r);
}

/* Its pods are not reported as gone, since they may still exist. */
static void drop_record(struct record *r)
{
    struct catalog *c = r->catalog;

    held_forget(r);
    leave_queue(r);
    set_remove(&c->records, record_set_key(r));
    record_destroy(r);
}

/* Drop the least recently used one without a subscriber. */
static bool make_room(struct catalog *c)
{
    list_for_each (r, &c->used.list, struct record, used) {
        if (!may_drop(r))
            continue;
        drop_record(r);
        return true;
    }
    return false;
}

void records_prune(struct catalog *c, uint64_t unused_ms)
{
    list_for_each (r, &c->used.list, struct record, used) {
        if (c->sched->now - r->used_at < unused_ms)
            break;
        if (may_drop(r))
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
    struct record *r = xcalloc(1, sizeof(*r) + key.len + ns.len + 2);
    char *at = (char *)(r + 1);

    *r = (struct record){
        .catalog = c,
        .what = what,
        .key_len = (uint16_t)key.len,
        .key = put(&at, key),
        .ns = put(&at, ns),
        .result = ERR_AGAIN,
        .used_at = c->sched->now,
    };
    r->name = r->key + key.len - name.len;
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
    struct record *r = set_get(&c->records, key);

    if (r)
        return r;
    if (c->used.count >= RECORDS_MAX && !make_room(c))
        return NULL;
    r = record_create(c, what, key, ns, name);
    set_add(&c->records, r);
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
