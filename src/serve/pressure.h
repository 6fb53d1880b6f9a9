/* serve/pressure.h - which client gives way when descriptors run short
 *
 * Each session has a holder, which is in at most one list: idle connections, the least
 * recently used first.  When a descriptor is needed and none is left, pressure_free_descriptor
 * closes one of them.  A busy keep-alive client is between two requests for microseconds, so
 * only a connection that was idle for PRESSURE_IDLE_MS is closed.
 *
 * Private to serve/.
 */
#pragma once

#include "base/list.h"
#include "base/sched.h"

#define PRESSURE_IDLE_MS 500
#define PRESSURE_EVENTS 2

struct pressure {
    struct sched *sched;
    struct list_node idle;
    uint64_t seen[PRESSURE_EVENTS]; /* the last of each kind; 0: none */
};

struct holder {
    struct pressure *pressure; /* borrowed */
    struct list_node node;
    uint64_t since;                     /* when it came into its list */
    bool (*give_way)(struct holder *h); /* false: it was not idle after all */
};

void pressure_init(struct pressure *p, struct sched *sched);

void holder_init(struct holder *h, struct pressure *p,
                 bool (*give_way)(struct holder *h));
void holder_idle(struct holder *h); /* from now on */
void holder_none(struct holder *h); /* also in every destructor; idempotent */

/* A client is refused because there is no place for it. */
void pressure_note_refusal(struct pressure *p);

/* Close the connection that was idle for longest, at once.  False: none was idle for long
 * enough. */
bool pressure_free_descriptor(struct pressure *p);
