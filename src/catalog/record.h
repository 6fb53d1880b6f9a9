/* catalog/record.h - what the parts of the catalog share; nobody else includes it
 *
 *      watching.c ──▶ spec, slices ──┐
 *                                    ├──▶ record_publish ──▶ lookups wake, uids leave
 *      lookup.c ───▶ one fetch ──────┘
 *
 * A record is one question that can be asked: a service, or a pod.  There is one for each
 * service that is watched, so it is small.  What the watches tell
 * about a service is kept in its objects and made into an entry only once somebody asks,
 * so that a large cluster costs little.  Where no watch answers (its first list is not
 * in, it is not allowed, or the namespace is another), a fetch does: at most one per
 * record, shared by everyone who waits.
 */
#pragma once

#include "base/map.h"
#include "catalog/entry.h"

struct fetch;

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
    struct service *service; /* the last known, even while result is a failure to ask */
    struct failure *failure; /* of a result that is not OK; else NULL */
    uint64_t answered_at;    /* 0: what is known is not to be given out */
    uint64_t keep_ms;        /* for how long the answer is good */
    uint64_t retry_at;       /* no refresh ahead of need before this */
    uint64_t noted_at;       /* pods were listed for the note; 0: not for this entry */
    uint64_t used_at;

    struct fetch *fetch;      /* under way, or NULL */
    struct list_node lookups; /* struct lookup.subscribed */
    struct list_node used;    /* in catalog.used unless a watch holds it */
    struct list_node changed; /* in catalog.changed while its entry is out of date */
};

/* Which rights there are is found by using them, the widest first. */
#define WATCHING_STATES(X) /* clang-format off */ \
    X(CLUSTER, cluster) /* tries to list and watch the whole cluster */ \
    X(HOME,    home)    /* that is forbidden: tries the home namespace */ \
    X(LIVE,    live)    /* both watches run, or did and will again */ \
    X(NOTHING, nothing) /* may not watch: every question is a fetch */
/* clang-format on */

enum watching_state {
#define X(NAME, name) WATCHING_##NAME,
    WATCHING_STATES(X)
#undef X
};

struct watching {
    enum watching_state state;
    const char *ns; /* the scope; NULL: the whole cluster */
    struct api_watch *services, *slices;
    struct map owners; /* "ns/name" of a slice -> the record that has it */
    struct task task;
    /* LIVE, but refused: until that is believed; NOTHING: until rights are looked for. */
    struct timer doubt;
    bool doubted;         /* it ran out */
    enum rights found;    /* the last time; RIGHTS_UNKNOWN: not yet */
    const char *found_ns; /* ... with this scope */
};

struct catalog {
    struct sched *sched;
    struct api *api;
    struct catalog_settings settings;
    char *home_ns;
    struct map records; /* "ns/name" of a service, "ns//name" of a pod, and "ns///name" */
    struct list_node used; /* records that no watch holds, least lately asked first */
    size_t used_count;
    struct list_node changed; /* records whose objects changed since the last rebuild */
    struct task rebuild;
    struct timer prune;
    struct map held;    /* how many entries hold the pod, by its key: a uintptr_t */
    struct map missing; /* keys of pods that slices may have and the API server has not */
    void (*gone)(void *owner, const char *pod_key);
    void *gone_owner;
    void (*change)(void *owner, const struct service *before,
                   const struct service *after);
    void *change_owner;
    struct watching watching;
    struct map slices_refused; /* by namespace: when to ask for endpointslices again */
    struct api_error trouble;  /* of the last fetch, if the API server was not reached */
};

/* --- catalog.c --- */

/* Find, or make.  NULL: too many are in use. */
struct record *record_obtain(struct catalog *c, enum what what, struct str ns,
                             struct str name);
struct record *record_find(const struct catalog *c, enum what what, struct str ns,
                           struct str name);
/* Its objects changed: rebuild the entry once this turn's events are in. */
void record_touch(struct record *r);
bool record_awaited(const struct record *r);
/* Both end a fetch that is under way, answer everyone who waits, and wake everyone else
 * who is subscribed if anything is new.  The service is taken over.  A failure to reach
 * the API server changes nothing about what is known of the pods: record_keep publishes it
 * once more. */
void record_publish(struct record *r, struct service *service);
void record_fail(struct record *r, const struct api_error *error, const char *verb,
                 const char *resource);
bool record_serves_by_pods(const struct record *r); /* which its slices do not know yet */
void record_keep(struct record *r);
/* Publish what the watched objects say.  pods: listed just now, to say why nothing is ready or
 * to serve, or NULL. */
void record_build(struct record *r, const struct pod_list *pods);

/* --- held.c --- */

/* The record's entry is another one (the reference is taken over; NULL: there is none).
 * Reports the change, and the pods that no entry holds any more. */
void held_replace(struct record *r, struct service *service);
/* The record goes.  Its pods are not gone, only out of sight. */
void held_forget(struct record *r);

/* --- watching.c --- */

void watching_start(struct catalog *c);
void watching_stop(struct catalog *c); /* idempotent */
/* Can the watches answer for this record? */
bool watching_answers(const struct catalog *c, const struct record *r);

/* --- lookup.c --- */

/* Ask the API server; nothing to do while that is under way. */
void fetch_start(struct record *r);
/* Only list the pods of a watched service that has nothing ready by its slices. */
void fetch_note(struct record *r);
bool fetch_is_note(const struct fetch *f);
void fetch_destroy(struct fetch *f); /* NULL accepted */
