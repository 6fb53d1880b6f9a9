/* upstream/waiters.h - leases that wait for an opening, by pod and port
 *
 * Private to upstream/.  A connection that becomes idle is given to the lease that has waited
 * longest for an opening to the same port of the same pod, if that lease may use it.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "catalog/catalog.h"
#include "upstream/port_use.h"

struct waiter_queue;

/* Embedded in the lease's struct, zeroed before. */
struct waiter {
    struct list_node node;
    struct waiter_queue *queue; /* NULL: it does not wait */
    uint64_t turn;              /* position: lower numbers came earlier */
};

struct waiters {
    struct map queues; /* by pod and port */
    uint64_t turns;    /* the last turn given out */
};

void waiters_init(struct waiters *w);
void waiters_finish(struct waiters *w); /* every waiter was removed */

/* `alone`: it may not get a connection of a shared tunnel. */
void waiters_add(struct waiters *w, struct waiter *waiter, const struct endpoint *e,
                 struct port_use use, bool alone);
void waiters_remove(struct waiter *waiter); /* idempotent */

/* The waiter that has waited longest; with `shared`, only those added without `alone`.  NULL:
 * there is none. */
struct waiter *waiters_oldest(const struct waiters *w, const struct endpoint *e,
                              struct port_use use, bool shared);
