/* upstream/pool.h - idle connections to pods, kept for the next exchange
 *
 * Private to upstream/.  Keyed by pod and container port.  An idle connection is closed when it
 * receives bytes, ends, or was idle for idle_ms.  How long a pod keeps idle connections is
 * learnt from how they end (upstream/lifetime.h), and forgotten with the pod.
 */
#pragma once

#include "base/log.h"
#include "catalog/service.h"
#include "net/stream.h"
#include "upstream/lease.h"

#define POOL_KEY_ROOM 640 /* namespace, name, UID and port at their longest */

/* Pod and port, as one key. */
struct str pool_key(const struct endpoint *e, uint16_t port, char room[POOL_KEY_ROOM]);

struct connectors;
struct pool;

struct pool *pool_create(struct sched *sched, struct connectors *connectors,
                         uint64_t idle_ms, uint16_t cluster);
void pool_destroy(struct pool *p); /* closes everything; NULL accepted */
void pool_trim(struct pool *p);    /* frees what holds nothing */
/* Close one idle connection that has a descriptor of its own.  False: there is none. */
bool pool_free_descriptor(struct pool *p);
void pool_clear(struct pool *p); /* closes everything that is idle now */

struct pooled {
    struct stream *stream;
    struct log_id via;
    uint64_t idle_ms; /* how long it was idle before the request that took it; 0: fresh */
};

/* Keep a clean, open, empty stream after a response; it is taken over.  Endpoint, port and
 * pair are the lease's.  was_idle_ms: how long it was idle before that request; 0: fresh. */
void pool_put(struct pool *p, const struct lease *lease, struct stream *s,
              uint64_t was_idle_ms);

struct pool_want {
    bool repeatable; /* a failure costs time only */
    bool alone;      /* of those whose tunnel no other connection uses */
};

/* The unpaired connection used last, owned by the caller.  False: there is none, or the pod
 * may have closed it by now.  Then the number of idle connections does not grow, though the
 * caller opens a fresh one. */
bool pool_take(struct pool *p, const struct endpoint *e, uint16_t port,
               struct pool_want want, struct pooled *ret);

/* May a connection that was answered on just now carry another request? */
bool pool_trusts(const struct pool *p, const struct endpoint *e, uint16_t port,
                 bool repeatable);

/* A connection from the pool ended without an answer, seen_ms after its last one. */
void pool_on_failure(struct pool *p, const struct endpoint *e, uint16_t port,
                     uint64_t idle_ms, uint64_t seen_ms);

/* Would pool_take find one, for a request that need not be alone? */
bool pool_has(const struct pool *p, const struct endpoint *e, uint16_t port,
              bool repeatable);

/* The one that is paired with this number, however long it was idle.  False: there is none. */
bool pool_take_paired(struct pool *p, const struct endpoint *e, uint16_t port,
                      uint64_t pair, struct pooled *ret);
bool pool_has_paired(const struct pool *p, const struct endpoint *e, uint16_t port,
                     uint64_t pair);
void pool_drop_pair(struct pool *p, uint64_t pair); /* close those with this number */

/* Close those to any port of this pod, and forget the pod. */
void pool_drop_pod(struct pool *p, const char *pod_key);
