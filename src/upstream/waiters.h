/* upstream/waiters.h - requests that wait for an opening, by pod and port
 *
 * Private to upstream/.  A connection that becomes idle is given to the oldest request that
 * waits for an opening to the same port of the same pod and may have it.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "catalog/catalog.h"

struct waiter_queue;

/* Embedded in what waits, zeroed before. */
struct waiter {
    struct list_node node;
    struct waiter_queue *queue; /* NULL: it waits in none */
    uint64_t turn;              /* lower: it came earlier */
};

struct waiters {
    struct map queues; /* by pod and port */
    uint64_t turns;
};

void waiters_init(struct waiters *w);
void waiters_finish(struct waiters *w); /* nothing may wait any more */

/* `alone`: it takes no connection of a shared tunnel. */
void waiters_add(struct waiters *w, struct waiter *waiter, const struct endpoint *e,
                 uint16_t port, bool alone);
void waiters_remove(struct waiter *waiter); /* idempotent */

/* The one that waits longest; those that want to be alone are left out where `shared`.
 * NULL: there is none. */
struct waiter *waiters_oldest(const struct waiters *w, const struct endpoint *e,
                              uint16_t port, bool shared);
