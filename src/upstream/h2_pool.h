/* upstream/h2_pool.h - HTTP/2 connections to pods, which many requests use at once
 *
 * Private to upstream/.  Keyed by pod and container port, like idle connections of HTTP/1
 * (upstream/pool.h).  A connection stays while it has streams, and idle_ms longer; one that is
 * draining (GOAWAY) gets no further streams.  When all are full, another one is opened: one at
 * a time for a place, and requests that come meanwhile wait for it.
 *
 * What a port speaks is declared by the service, or learnt from the first answer and kept here
 * until the pod goes.
 */
#pragma once

#include "base/log.h"
#include "catalog/service.h"
#include "http/h2.h"

struct h2_pool;

enum speaks {
    SPEAKS_UNKNOWN,
    SPEAKS_HTTP1, /* its first bytes were no HTTP/2 */
    SPEAKS_HTTP2,
};

struct h2_pool_settings {
    struct sched *sched;
    struct chunk_pool *pool;
    size_t max_head_size, max_head_fields;
    uint32_t streams_max, window;
    uint64_t idle_ms;
    uint16_t cluster;
};

/* A request that waits for a connection that another one opens.  Embedded in what waits,
 * zeroed before. */
struct h2_waiter {
    struct list_node node;
    struct task *wake;
};

struct h2_pool *h2_pool_create(const struct h2_pool_settings *s);
void h2_pool_destroy(struct h2_pool *p); /* its message streams end; NULL accepted */
void h2_pool_trim(struct h2_pool *p);
void h2_pool_clear(
    struct h2_pool *p); /* connections without streams close, others drain */

/* A message stream on a connection that is open; NULL: there is none with room. */
struct message_stream *h2_pool_take(struct h2_pool *p, const struct endpoint *e,
                                    uint16_t port, struct log_id *ret_via);
/* A connection is being opened for this place, by a caller that calls h2_pool_end_opening in
 * any case. */
bool h2_pool_is_opening(const struct h2_pool *p, const struct endpoint *e, uint16_t port);
void h2_pool_begin_opening(struct h2_pool *p, const struct endpoint *e, uint16_t port);
void h2_pool_end_opening(struct h2_pool *p, const struct endpoint *e, uint16_t port);
/* While one is being opened: *wake runs when that has ended, or a connection has room again. */
void h2_pool_wait(struct h2_pool *p, const struct endpoint *e, uint16_t port,
                  struct h2_waiter *w, struct task *wake);
void h2_waiter_leave(struct h2_waiter *w); /* idempotent */
/* A connection that was just opened: the stream is taken over. */
void h2_pool_add(struct h2_pool *p, const struct endpoint *e, uint16_t port,
                 struct stream *s, struct log_id via);

/* By what was learnt, else by the service's declaration (may be NULL). */
enum speaks h2_pool_speaks(const struct h2_pool *p, const struct endpoint *e,
                           uint16_t port, const struct service_port *declared);
void h2_pool_learn(struct h2_pool *p, const struct endpoint *e, uint16_t port,
                   enum speaks speaks);

/* No new streams to any port of this pod, and forget it. */
void h2_pool_drop_pod(struct h2_pool *p, const char *pod_key);
