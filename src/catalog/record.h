/* catalog/record.h - what the parts of the catalog share; private to catalog/
 *
 *   scope, lazy ──▶ spec, slices ──┐
 *                                    ├──▶ record_publish ──▶ lookups wake, uids leave
 *      lookup.c ───▶ one fetch ──────┘
 *
 * A record is the subject of look-ups: a service, or a pod.  There is one for each
 * service that is watched, so it is small.  What the watches report
 * about a service is kept in its objects and made into an entry only once it is looked up,
 * so that a large cluster costs little.  Where no watch answers (its first list is not
 * in, it is not allowed, or the namespace is another), a fetch does: at most one per
 * record, shared by all look-ups that wait.
 */
#pragma once

#include "base/map.h"
#include "catalog/entry.h"
#include "catalog/question.h"
#include "kube/api.h"

struct fetch;
struct lazy_watch;

enum what { WHAT_SERVICE, WHAT_POD, WHAT_DEPLOYMENT };

struct failure {
    struct api_error error;
    const char *verb, *resource; /* that a 403 was about */
};

struct record {
    struct catalog *catalog;
    enum what what;
    const char *key, *ns, *name; /* behind the struct */

    struct service_spec *spec; /* from the watch; NULL: it knows none */
    struct slice_list slices;  /* likewise */

    enum err result;         /* ERR_AGAIN: never answered */
    struct service *service; /* the last known, even while result is a failed call */
    struct failure *failure; /* of a result that is not OK; else NULL */
    uint64_t answered_at;    /* 0: what is known is not to be given out */
    uint64_t keep_ms;        /* for how long the answer is good */
    uint64_t retry_at;       /* no refresh ahead of need before this */
    uint64_t noted_at;       /* pods were listed for the note; 0: not for this entry */
    uint64_t used_at;
    uint64_t built_at; /* from what is watched */

    struct fetch *fetch;      /* under way, or NULL */
    struct lazy_watch *lazy;  /* of this service alone, or NULL */
    struct list_node lookups; /* struct lookup.subscribed */
    struct list_node used;    /* in catalog.used unless a watch holds it */
    struct list_node changed; /* in catalog.changed while its entry is out of date */
};

struct scope;

/* What a fetch reports to the catalog; each ends it.  See catalog.c. */
struct record_ops {
    /* The service is taken over. */
    void (*publish)(struct record *r, struct service *service);
    void (*fail)(struct record *r, const struct api_error *error, const char *verb,
                 const char *resource);
    /* Publish what the watched objects show.  pods: listed just now, for the reason why
     * nothing is ready or to serve, or NULL. */
    void (*build)(struct record *r, const struct pod_list *pods);
};

struct catalog {
    const struct record_ops *ops;
    struct sched *sched;
    struct api *api;
    struct catalog_settings settings;
    char *home_ns;
    struct map records; /* "ns/name" of a service, "ns//name" of a pod, and "ns///name" */
    struct list_node used; /* records that no watch holds, least lately used first */
    size_t used_count;
    struct list_node changed; /* records whose objects changed since the last rebuild */
    struct task rebuild;
    struct timer rebuild_later; /* while those of large services wait */
    struct timer prune;
    struct map held;    /* how many entries hold the pod, by its key: a uintptr_t */
    struct map missing; /* keys of pods that slices may have and the API server has not */
    void (*gone)(void *owner, const char *pod_key);
    void *gone_owner;
    void (*change)(void *owner, const struct service *before,
                   const struct service *after);
    void *change_owner;
    struct list_node scopes; /* what is watched, or was tried to be */
    size_t scope_count;
    struct map slice_owners; /* "ns/name" of a slice -> the record that has it */
    struct list_node lazy;   /* struct lazy_watch, least lately used first */
    size_t lazy_count;
    struct map refusals;      /* by namespace: struct refusals */
    struct map owners;        /* of addresses, by address: address_owner.c */
    struct api_error trouble; /* of the last fetch, if the API server was not reached */
};

/* --- address_owner.c --- */

void address_owners_forget(struct catalog *c);

/* --- records.c --- */

/* Find, or make.  NULL: too many are in use. */
struct record *record_obtain(struct catalog *c, enum what what, struct str ns,
                             struct str name);
/* It was looked up just now, or what it holds has changed. */
void record_used(struct record *r);
void record_destroy(struct record *r);
void records_prune(struct catalog *c, uint64_t unused_ms); /* drops what is unused */
/* Its objects changed: rebuild the entry once this turn's events are in. */
void record_touch(struct record *r);
bool record_awaited(const struct record *r);

/* Has it an entry that serves by a list of pods, which its slices do not know yet? */
static inline bool record_serves_by_pods(const struct record *r)
{
    return r->service && r->service->from_pods;
}

/* --- held.c --- */

/* The record's entry is another one (the reference is taken over; NULL: there is none).
 * Reports the change, and the pods that no entry holds any more. */
void held_replace(struct record *r, struct service *service);
/* The record goes.  Its pods are not gone, only out of sight. */
void held_forget(struct record *r);

/* --- watching.c: which scopes there are --- */

void watching_start(struct catalog *c);
void watching_stop(struct catalog *c); /* idempotent */
/* Can the watches answer for this record? */
bool watching_answers(const struct catalog *c, const struct record *r);
/* It was looked up: watch more, where that is allowed and of use. */
void watching_note_question(struct record *r);

/* --- scope.c: one namespace, or the whole cluster --- */

/* ns: the only namespace that it is for; NULL: the whole cluster, or else the home
 * namespace.  kept: it stays until the catalog goes. */
struct scope *scope_open(struct catalog *c, const char *ns, bool kept);
struct scope *scope_first(const struct catalog *c);              /* NULL: there is none */
struct scope *scope_of(const struct catalog *c, const char *ns); /* likewise */
/* Close those that are not kept, or all. */
void scopes_close(struct catalog *c, bool kept_too);
/* Is it known of all what may be watched?  *ret_error is the last failure. */
bool scopes_are_decided(const struct catalog *c, struct api_error *ret_error);
/* It was found out what is allowed, and it is one namespace at most. */
bool scope_is_narrow(const struct scope *s);
bool scope_is_lazy(const struct scope *s);
bool scope_is_live(const struct scope *s);
bool scope_sees_all(const struct scope *s); /* live, and both watches are connected */
bool scope_by_endpoints(const struct scope *s);
const char *scope_ns(const struct scope *s);
enum rights scope_rights(const struct scope *s);
/* A watch of one service was refused: none is tried for a while. */
void scope_suspend_lazy(struct scope *s);

/* --- feed.c: from watches to records --- */

/* For api_watch_open, with the catalog as owner. */
void feed_service(void *catalog, enum api_event event, json_t *object);
void feed_slice(void *catalog, enum api_event event, json_t *object);
void feed_endpoints(void *catalog, enum api_event event, json_t *object);
/* What watches reported about the record is no longer kept up to date. */
void feed_forget(struct record *r);
/* Only of its slices: others, or endpoints, are to take their place. */
void feed_forget_slices(struct record *r);

/* --- lazy.c: watches of single services --- */

/* Watch this service, if there is room: the one that was not used for longest makes it,
 * unless that was lately.  on_refused: called when the watch is not permitted; it is closed
 * then. */
void lazy_watch(struct record *r, bool by_endpoints,
                void (*on_refused)(struct record *r));
bool lazy_answers(const struct record *r);
void lazy_touch(struct record *r); /* it was looked up */
void lazy_close(struct record *r); /* idempotent */
/* The same, for a record or a catalog that goes: what is known is not touched. */
void lazy_finish(struct record *r);
void lazy_close_unused(struct catalog *c, uint64_t unused_ms);

/* --- refusals.c --- */

enum refused { REFUSED_SLICES, REFUSED_ENDPOINTS, REFUSED_KINDS };

void refusals_note(struct catalog *c, const char *ns, enum refused what);
/* In the last minute. */
bool refusals_have(const struct catalog *c, const char *ns, enum refused what);
void refusals_finish(struct catalog *c); /* usable again */

/* --- lookup.c --- */

/* Fetch it from the API server; nothing to do while that is under way. */
void fetch_start(struct record *r);
/* Only list the pods of a watched service that has nothing ready by its slices. */
void fetch_note(struct record *r);
bool fetch_is_note(const struct fetch *f);
void fetch_destroy(struct fetch *f); /* NULL accepted */
