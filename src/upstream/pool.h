/* upstream/pool.h - idle connections to pods, kept for the next exchange
 *
 * Private to upstream/.  Keyed by pod and container port.  A kept
 * connection that gets bytes, ends or grows old is closed; nothing else touches it while
 * it lies here.
 */
#pragma once

#include "base/log.h"
#include "catalog/catalog.h"
#include "net/stream.h"
#include "upstream/lease.h"

#define POOL_KEY_ROOM 640 /* namespace, name, UID and port at their longest */

/* Pod and port, as one key. */
struct str pool_key(const struct endpoint *e, uint16_t port, char room[POOL_KEY_ROOM]);

struct pool;

struct pool *pool_create(struct sched *sched, uint64_t idle_ms);
void pool_destroy(struct pool *p); /* closes everything; NULL accepted */
void pool_trim(struct pool *p);    /* frees what holds nothing */
void pool_clear(struct pool *p);   /* closes everything that is idle now */

/* Keep a clean, open, empty stream, which is taken over, for what the lease says of it. */
void pool_put(struct pool *p, const struct lease *lease, struct stream *s);

/* The unpaired connection used last, owned by the caller; `alone`: of those whose tunnel is nobody
 * else's.  When that was longer than max_idle_ms ago it is closed and the answer is NULL:
 * the caller opens a fresh one, and the number of idle connections does not grow. */
struct stream *pool_take(struct pool *p, const struct endpoint *e, uint16_t port,
                         uint64_t max_idle_ms, bool alone, struct log_id *ret_tunnel);

/* Would pool_take find one, for a request that need not be alone? */
bool pool_has(const struct pool *p, const struct endpoint *e, uint16_t port,
              uint64_t max_idle_ms);
/* The one that is paired with this number, however long it was idle; or NULL. */
struct stream *pool_take_paired(struct pool *p, const struct endpoint *e, uint16_t port,
                                uint64_t pair, struct log_id *ret_tunnel);
bool pool_has_paired(const struct pool *p, const struct endpoint *e, uint16_t port,
                     uint64_t pair);
void pool_drop_pair(struct pool *p, uint64_t pair); /* close those with this number */

/* Close those to any port of this pod, and forget the pod. */
void pool_drop_pod(struct pool *p, const char *pod_key);
