/* serve/session.h - one client's connection, from its first byte to its last
 *
 * Private to serve/.
 */
#pragma once

#include "base/list.h"
#include "base/log.h"
#include "serve/exchange.h"
#include "serve/pressure.h"

/* What a serve is, for those who make it up. */
struct serve {
    struct sched *sched;
    struct chunk_pool *pool;
    struct clusters *clusters;
    const struct config *config; /* a reference */
    struct naming *naming;
    struct admin *admin;

    struct list_node sessions;
    struct list_node raws; /* connections through listeners of one service port */
    size_t count;          /* of both */
    size_t refused;        /* ... of those, whose user may not connect */
    size_t clients_max;    /* max-connections, or what descriptors allow */
    size_t surplus_max;    /* beyond them, to be refused with a page */
    struct pressure pressure;
    bool in_pod; /* clients that stall are less patiently waited for */
    uint64_t next_number;
    struct list_node spare; /* exchanges that wait to be used again */
    size_t spares;

    bool draining;
    struct timer drain_deadline;
    struct task *drained;

    struct http1_head answer; /* scratch: the answer's head that is being read just now */
};

/* A session or a raw connection has freed itself. */
void serve_on_session_gone(struct serve *serve, const struct visitor *from);

/* The only way to a pod: upstream_lease of the route's cluster, to which the lease holds a
 * reference; or ERR_FORBIDDEN for a closed namespace. */
void serve_lease(struct serve *s, struct want *want, struct lease *lease,
                 struct task *wake);
/* Did it fail because its cluster was replaced while it waited?  Lease again. */
bool serve_was_replaced(const struct lease *lease);
/* By what its requests are read and judged. */
struct rules serve_rules(const struct serve *s);
/* upstream_return, and drops the reference. */
void serve_return(struct lease *lease, enum release_mode release);

/* Takes the stream over, and a reference to from->exposed. */
void session_open(struct serve *serve, struct stream *client, const struct visitor *from);
/* The same for a client that has begun a request on an exposed port: its number is `id`'s,
 * and its first request gets `lease`, of which `attempts` were made. */
void session_open_exposed(struct serve *serve, struct stream *client,
                          const struct visitor *from, struct log_id id,
                          struct lease *lease, unsigned attempts);
/* Look whether there is reason to close (draining). */
void session_nudge(struct list_node *member);
/* Does the session of this holder have a connection to that pod? */
bool session_uses_pod(const struct holder *h, const char *pod_key);
/* Reset it, with whatever runs in it; its memory goes in this turn. */
void session_kill(struct list_node *member);
/* The same, memory included. */
void session_destroy(struct list_node *member);

void session_metrics_register(void);
/* Clients of any kind that are connected: more or fewer. */
void session_count(int change);
