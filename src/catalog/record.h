/* catalog/record.h - types and functions that the files of catalog/ share; private to catalog/
 *
 *   scope, lazy ──▶ spec, slices ──┐
 *                                    ├──▶ record_publish ──▶ lookups wake, uids leave
 *      lookup.c ───▶ one fetch ──────┘
 *
 * A record is the subject of look-ups: a service, pod or Deployment.  There is one for each
 * service that is watched, so it is small.  Watched objects are stored in the record, and made
 * into an entry (struct service) only once it is looked up, so that a large cluster costs
 * little.  An entry that connections were made from stays until its service is gone; of the
 * others that no look-up holds only the last ENTRIES_MAX are kept.  Without a watch (its first
 * list is not complete, it is not allowed, or it is for another namespace) a fetch gets the
 * objects: at most one per record, shared by all look-ups that wait.
 */
#pragma once

#include "base/map.h"
#include "base/set.h"
#include "catalog/entry.h"
#include "catalog/question.h"
#include "kube/api.h"

struct fetch;
struct lazy_watch;

enum what { WHAT_SERVICE, WHAT_POD, WHAT_DEPLOYMENT };

/* Records, the least lately used first. */
struct record_queue {
    struct list_node list; /* struct record.used */
    size_t count;
};

struct failure {
    struct api_error error;
    const char *verb, *resource; /* the right that a 403 showed as missing */
};

struct record {
    struct catalog *catalog;
    enum what what;
    uint16_t key_len;
    uint8_t listings; /* calls of catalog_each under way that hold it */
    bool kept;        /* its entry stays until its service is gone: lookup_keep */
    const char *key, *ns, *name; /* behind the struct; the key ends in the name */

    struct service_spec *spec; /* from the watch; NULL: none */
    struct slice_list slices;  /* from the watch */

    enum err result;         /* ERR_AGAIN: not known yet */
    uint32_t keep_ms;        /* for how long the result may be used */
    struct service *service; /* the last entry, also while result is a failed call */
    struct failure *failure; /* if result is not OK; else NULL */
    uint64_t answered_at;    /* sched ms: when result was set; 0: it must not be used */
    uint64_t retry_at;       /* sched ms: no refresh ahead of need before this */
    uint64_t noted_at;       /* sched ms: when pods were listed for this entry; 0: not */
    uint64_t used_at;        /* sched ms: last look-up */
    uint64_t built_at;       /* sched ms: when the entry was built from watched objects */
    uint32_t ports_left_out, endpoints_left_out; /* as they were logged */

    struct fetch *fetch;        /* under way, or NULL */
    struct lazy_watch *lazy;    /* of this service alone, or NULL */
    struct list_node lookups;   /* struct lookup.subscribed */
    struct list_node used;      /* in the list of `queue` */
    struct record_queue *queue; /* of the catalog, or NULL */
    struct list_node changed;   /* in catalog.changed while its entry is out of date */
};

struct scope;

/* What a fetch reports to the catalog; each of these frees the fetch.  See catalog.c. */
struct record_ops {
    /* Takes over the reference to the service. */
    void (*publish)(struct record *r, struct service *service);
    void (*fail)(struct record *r, const struct api_error *error, const char *verb,
                 const char *resource);
    /* Build and publish the entry from watched objects.  pods: listed just now, to serve or to
     * explain why none is ready; or NULL. */
    void (*build)(struct record *r, const struct pod_list *pods);
};

struct catalog {
    const struct record_ops *ops;
    struct sched *sched;
    struct api *api;
    struct catalog_settings settings;
    char *home_ns;
    struct set records; /* "ns/name" of a service, "ns//name" of a pod, and "ns///name" */
    struct record_queue used;  /* records that no watch holds */
    struct record_queue built; /* those with watched objects and an entry, not `kept` */
    struct list_node changed;  /* records whose objects changed since the last rebuild */
    struct task rebuild;
    struct timer rebuild_later; /* for changed records of large services */
    struct timer prune;
    struct map held; /* pod key -> number of entries that have the pod, a uintptr_t */
    struct map
        missing; /* keys of pods that do not exist, although slices may have them */
    void (*gone)(void *owner, const char *pod_key);
    void *gone_owner;
    void (*change)(void *owner, const struct service *before,
                   const struct service *after);
    void *change_owner;
    struct list_node scopes; /* struct scope */
    size_t scope_count;
    struct set slices;     /* struct slice, by "ns/name" */
    struct list_node lazy; /* struct lazy_watch, least lately used first */
    size_t lazy_count;
    struct map refusals; /* by namespace: struct refusals */
    struct map owners;   /* address -> struct known_owner: address_owner.c */
    /* IPv4, IPv6: no object has a second address of this family, until (sched ms) */
    uint64_t no_second_until[2];
    struct api_error trouble; /* of the last fetch, if the API server was not reached */
};

/* --- address_owner.c --- */

void address_owners_forget(struct catalog *c);

/* --- records.c --- */

struct str record_set_key(const void *record);
/* Find it, or create it.  NULL: too many are in use. */
struct record *record_obtain(struct catalog *c, enum what what, struct str ns,
                             struct str name);
/* Call when it was looked up, or when the objects that it holds have changed. */
void record_used(struct record *r);
/* Call when it has got an entry; the entries of others may be dropped. */
void record_built(struct record *r);
void record_keep(struct record *r); /* its entry is not dropped any more */
void record_destroy(struct record *r);
void records_prune(struct catalog *c, uint64_t unused_ms); /* drops what is unused */
/* Its objects changed: rebuild the entry once this turn's events are in. */
void record_touch(struct record *r);
bool record_awaited(const struct record *r);

/* Has its entry ready endpoints from a list of pods, which the slices do not have yet? */
static inline bool record_serves_by_pods(const struct record *r)
{
    return r->service && r->service->from_pods;
}

/* --- held.c --- */

/* Replace the record's entry (takes over the reference; NULL: none).  Reports the change, and
 * the pods that no entry has any more. */
void held_replace(struct record *r, struct service *service);
/* The record is to be freed.  Its pods are not reported as gone, since they may still exist. */
void held_forget(struct record *r);

/* --- watching.c: which scopes there are --- */

void watching_start(struct catalog *c);
void watching_stop(struct catalog *c); /* idempotent */
/* Do the watches have the state of this record? */
bool watching_covers(const struct catalog *c, const struct record *r);
/* The record was looked up: open a scope or a lazy watch for it, if allowed and useful. */
void watching_on_lookup(struct record *r);

/* --- scope.c: one namespace, or the whole cluster --- */

/* ns: the only namespace that it is for; NULL: the whole cluster, or else the home
 * namespace.  kept: it stays open until the catalog is stopped. */
struct scope *scope_open(struct catalog *c, const char *ns, bool kept);
struct scope *scope_first(const struct catalog *c);              /* NULL: there is none */
struct scope *scope_of(const struct catalog *c, const char *ns); /* likewise */
/* Close those that are not kept, or all. */
void scopes_close(struct catalog *c, bool kept_too);
/* Are the rights of all scopes known?  *ret_error is the last failure. */
bool scopes_are_decided(const struct catalog *c, struct api_error *ret_error);
/* Are its rights known, and for one namespace at most? */
bool scope_is_narrow(const struct scope *s);
bool scope_is_lazy(const struct scope *s);
bool scope_is_live(const struct scope *s);
bool scope_sees_all(const struct scope *s); /* live, and both watches are connected */
bool scope_by_endpoints(const struct scope *s);
const char *scope_ns(const struct scope *s);
/* The namespaces of narrow scopes but the home namespace, by number; NULL: no more. */
const char *scopes_other_ns(const struct catalog *c, size_t i);
enum rights scope_rights(const struct scope *s);
/* A watch of one service was refused: none is tried for a while. */
void scope_suspend_lazy(struct scope *s);

/* --- feed.c: from watches to records --- */

/* For api_watch_open, with the catalog as owner. */
void feed_service(void *catalog, enum api_event event, json_t *object);
void feed_slice(void *catalog, enum api_event event, json_t *object);
void feed_endpoints(void *catalog, enum api_event event, json_t *object);
/* Drop the record's watched objects: the watch for them was closed. */
void feed_forget(struct record *r);
/* Drop only its slices: those of another watch will replace them. */
void feed_forget_slices(struct record *r);

/* --- lazy.c: watches of single services --- */

/* Watch this service, if there is room; the least recently used watch is closed for it, unless
 * that one is in use, too.  on_refused: called when the watch is not permitted and was closed. */
void lazy_watch(struct record *r, bool by_endpoints,
                void (*on_refused)(struct record *r));
bool lazy_answers(const struct record *r);
void lazy_touch(struct record *r); /* it was looked up */
void lazy_close(struct record *r); /* idempotent */
/* The same for a record that is to be freed: its objects are not dropped. */
void lazy_finish(struct record *r);
void lazy_close_unused(struct catalog *c, uint64_t unused_ms);

/* --- refusals.c --- */

enum refused { REFUSED_SLICES, REFUSED_ENDPOINTS, REFUSED_KINDS };

void refusals_note(struct catalog *c, const char *ns, enum refused what);
/* Was it refused in the last minute? */
bool refusals_have(const struct catalog *c, const char *ns, enum refused what);
void refusals_finish(struct catalog *c); /* usable again */

/* --- lookup.c --- */

/* Fetch the record from the API server, unless a fetch is under way. */
void fetch_start(struct record *r);
/* Only list the pods of a watched service that has no ready endpoint by its slices. */
void fetch_note(struct record *r);
bool fetch_is_note(const struct fetch *f);
void fetch_destroy(struct fetch *f); /* NULL accepted */
