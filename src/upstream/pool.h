/* upstream/pool.h - idle connections to pods, kept for the next exchange
 *
 * Private to upstream/.  Keyed by pod and container port.  An idle connection is closed when it
 * receives bytes, ends, or was idle for idle_ms.  How long a pod keeps idle connections is
 * learnt from how they end (upstream/lifetime.h), and forgotten with the pod.
 */
#pragma once

#include "base/log.h"
#include "net/stream.h"
#include "upstream/port_use.h"

struct connectors;
struct pool;

struct pool *pool_create(struct sched *sched, struct connectors *connectors,
                         uint64_t idle_ms, uint16_t cluster);
/* Of connections that are put from now on. */
void pool_set_idle(struct pool *p, uint64_t idle_ms);
void pool_destroy(struct pool *p); /* closes everything; NULL accepted */
void pool_trim(struct pool *p);    /* frees unused memory */
/* Close one idle direct connection, for its descriptor.  False: there is none. */
bool pool_free_descriptor(struct pool *p);
void pool_clear(struct pool *p); /* closes everything that is idle now */

struct pooled {
    struct stream *stream;
    struct log_id via;
    uint64_t idle_ms; /* how long it was idle before the request that took it; 0: new */
};

/* Keep an open stream without unread or unsent bytes after a response; the pool owns it then.
 * Endpoint, port and pair are the lease's.  was_idle_ms: how long it was idle before that
 * request; 0: it was new. */
void pool_put(struct pool *p, const struct lease *lease, struct stream *s,
              uint64_t was_idle_ms);

struct pool_want {
    bool repeatable; /* the request can be retried, so a failure costs only time */
    bool alone;      /* only a connection whose tunnel no other connection uses */
};

/* Take the unpaired connection that was used last; the caller owns it.  False: there is none,
 * or the pod may have closed it by now.  In that case the caller opens a new one, for which
 * the pool may close an idle one, so that their number does not grow. */
bool pool_take(struct pool *p, const struct endpoint *e, struct port_use use,
               struct pool_want want, struct pooled *ret);

/* May a connection that carried a response just now carry another request? */
bool pool_trusts(const struct pool *p, const struct endpoint *e, struct port_use use,
                 bool repeatable);

/* A connection from the pool ended before a response, seen_ms after its last response. */
void pool_on_failure(struct pool *p, const struct endpoint *e, struct port_use use,
                     uint64_t idle_ms, uint64_t seen_ms);

/* Would pool_take find one, for a request that need not be alone? */
bool pool_has(const struct pool *p, const struct endpoint *e, struct port_use use,
              bool repeatable);

/* Take the connection that is paired with this number (see lease.pair), however long it was
 * idle.  False: there is none. */
bool pool_take_paired(struct pool *p, const struct endpoint *e, struct port_use use,
                      uint64_t pair, struct pooled *ret);
bool pool_has_paired(const struct pool *p, const struct endpoint *e, struct port_use use,
                     uint64_t pair);
void pool_drop_pair(struct pool *p, uint64_t pair); /* closes the paired connections */

/* Close the connections to all ports of this pod, and forget the pod. */
void pool_drop_pod(struct pool *p, const char *pod_key);
