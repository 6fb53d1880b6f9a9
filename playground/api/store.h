/* playground/api/store.h - the objects of the cluster, and recent changes
 *
 * As in etcd, every change makes a new revision of the whole store and one event.
 * Objects are immutable: a change replaces the tree.  A bounded history of events feeds
 * the watches; a client that requests an older revision has to list again (410).
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/list.h"
#include "base/sched.h"
#include "playground/api/kind.h"

struct store;

enum event_type { EVENT_ADDED, EVENT_MODIFIED, EVENT_DELETED };

struct event {
    uint64_t revision;
    enum event_type type;
    enum kind_id kind;
    json_t *object; /* owned by the history; a deleted object has its last state */
    json_t *before; /* MODIFIED: the previous object, for selectors; else NULL */
};

struct store *store_create(void);
void store_destroy(struct store *s); /* NULL accepted */

uint64_t store_revision(const struct store *s);

/* Borrowed until the next change; NULL: not there.  ns is "" for namespaces. */
json_t *store_get(const struct store *s, enum kind_id kind, const char *ns,
                  const char *name);

/* All objects of a kind, in order of namespace and name. */
size_t store_count(const struct store *s, enum kind_id kind);
/* The index of the first object that is not before this name in that order. */
size_t store_place(const struct store *s, enum kind_id kind, const char *ns,
                   const char *name);
json_t *store_at(const struct store *s, enum kind_id kind, size_t i);

/* Add or replace; the store takes the reference.  uid and creationTimestamp are kept from
 * the old object, or generated. */
void store_put(struct store *s, enum kind_id kind, json_t *object);
/* Takes a manifest of any kind the store knows, or a List.  ERR_CONFIG: the manifest has
 * no known kind. */
MUST_CHECK enum err store_apply(struct store *s, json_t *manifest, struct diag *why);
bool store_delete(struct store *s, enum kind_id kind, const char *ns, const char *name);

/* The first event after `revision`, NULL if there is none yet; valid until the next
 * change. */
const struct event *store_event_after(const struct store *s, uint64_t revision);
/* The oldest revision a watch may start from. */
uint64_t store_oldest(const struct store *s);
/* compaction: old revisions are no longer available */
void store_forget(struct store *s);

/* Wake a task at every change. */
struct store_watcher {
    struct list_node node;
    struct task *wake;
};
void store_watch(struct store *s, struct store_watcher *w, struct task *wake);
void store_unwatch(struct store_watcher *w);
