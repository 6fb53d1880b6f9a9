/* upstream/h2_pool.h - HTTP/2 connections to pods, each shared by many requests
 *
 * Private to upstream/.  Keyed by pod and container port, like idle connections of HTTP/1
 * (upstream/pool.h).  A connection is kept while it has streams, and idle_ms longer; one that
 * is draining (GOAWAY) gets no further streams.  When all have the maximum of streams, another
 * connection is opened: one at a time for each port, and requests in that time wait for it.  How
 * many streams the pod accepted is remembered: on the first connection, requests that came before
 * its SETTINGS and exceed their number are sent again on others (http/h2.h); on a later one they
 * are not opened.
 *
 * The service declares which protocol a port speaks, or the first bytes from it show that,
 * which is remembered until the pod is gone.
 */
#pragma once

#include "base/log.h"
#include "catalog/service.h"
#include "http/h2.h"
#include "upstream/port_use.h"

struct h2_pool;

enum speaks {
    SPEAKS_UNKNOWN,
    SPEAKS_HTTP1,      /* the first bytes from the port were not HTTP/2 */
    SPEAKS_HTTP2_ALSO, /* learnt from a connection; it may speak HTTP/1, too */
    SPEAKS_HTTP2,      /* declared, or the port has sent HTTP/2 in response to HTTP/1 */
};

struct h2_pool_settings {
    struct sched *sched;
    struct chunk_pool *pool;
    size_t max_head_size, max_head_fields;
    uint32_t streams_max, window;
    uint64_t idle_ms;
    uint16_t cluster;
};

/* A request that waits for a connection which another request opens.  Embedded in the lease's
 * struct, zeroed before. */
struct h2_waiter {
    struct list_node node;
    struct task *wake;
};

struct h2_pool *h2_pool_create(const struct h2_pool_settings *s);
/* Of connections that become idle, and limits of responses and of new connections, from now
 * on. */
void h2_pool_configure(struct h2_pool *p, uint64_t idle_ms,
                       const struct h2_limits *limits);
void h2_pool_destroy(struct h2_pool *p); /* its message streams end; NULL accepted */
void h2_pool_trim(struct h2_pool *p);
void h2_pool_clear(
    struct h2_pool *p); /* connections without streams close, others drain */

/* A message stream on an open connection; NULL: no open connection has room for it.
 * `certain`: only on one whose SETTINGS have come. */
struct message_stream *h2_pool_take(struct h2_pool *p, const struct endpoint *e,
                                    struct port_use use, bool certain,
                                    struct log_id *ret_via);
/* Has a connection to this port room, and are its SETTINGS still to come? */
bool h2_pool_awaits_settings(const struct h2_pool *p, const struct endpoint *e,
                             struct port_use use);
/* Is a connection to this port being opened?  The caller that opens one calls begin before, and
 * end after success or failure. */
bool h2_pool_is_opening(const struct h2_pool *p, const struct endpoint *e,
                        struct port_use use);
void h2_pool_begin_opening(struct h2_pool *p, const struct endpoint *e,
                           struct port_use use);
void h2_pool_end_opening(struct h2_pool *p, const struct endpoint *e,
                         struct port_use use);
/* Only while one is being opened, or its SETTINGS are still to come: *wake is woken when that
 * has ended, or when a connection has room again. */
void h2_pool_wait(struct h2_pool *p, const struct endpoint *e, struct port_use use,
                  struct h2_waiter *w, struct task *wake);
void h2_waiter_leave(struct h2_waiter *w); /* idempotent */
/* Add a connection that was just opened; the pool owns the stream then. */
void h2_pool_add(struct h2_pool *p, const struct endpoint *e, struct port_use use,
                 struct stream *s, struct log_id via);

/* The protocol that was learnt from the port, or else the one that the service declares
 * (`declared` may be NULL). */
enum speaks h2_pool_speaks(const struct h2_pool *p, const struct endpoint *e,
                           struct port_use use, const struct service_port *declared);
/* Has it sent SETTINGS?  Else it may be declared in error. */
bool h2_pool_has_shown_http2(const struct h2_pool *p, const struct endpoint *e,
                             struct port_use use);
/* Upgrades, as extended CONNECT: its SETTINGS have shown that it accepts none. */
bool h2_pool_lacks_connect(const struct h2_pool *p, const struct endpoint *e,
                           struct port_use use);
/* Has it sent HTTP/2 in response to HTTP/1? */
bool h2_pool_lacks_http1(const struct h2_pool *p, const struct endpoint *e,
                         struct port_use use);
void h2_pool_learn(struct h2_pool *p, const struct endpoint *e, struct port_use use,
                   enum speaks speaks);

/* The pod is gone: open no new streams to any of its ports, and forget what was learnt. */
void h2_pool_drop_pod(struct h2_pool *p, const char *pod_key);
