#include "tunnel/usage.h"

/* Exchanges with a pod count as small until one is large. */
void usage_init(struct usage *u)
{
    *u = (struct usage){ .small_run = USAGE_SMALL_RUN };
}

static void note_demand(struct usage *u, uint64_t now)
{
    demand_note(&u->demand, u->lent + u->waiters, now);
    demand_note_alone(&u->demand, u->lent_alone + u->waiting_alone);
}

void usage_on_lent(struct usage *u, bool alone, uint64_t now)
{
    u->lent++;
    u->lent_alone += alone;
    note_demand(u, now);
}

void usage_on_returned(struct usage *u, bool alone, bool large)
{
    u->lent--;
    u->lent_alone -= alone;
    if (!large && u->small_run < USAGE_SMALL_RUN)
        u->small_run++;
}

void usage_on_large(struct usage *u)
{
    u->small_run = 0;
}

void usage_on_waiting(struct usage *u, bool alone, uint64_t now)
{
    u->waiters++;
    u->waiting_alone += alone;
    note_demand(u, now);
}

void usage_on_served(struct usage *u, bool alone)
{
    u->waiters--;
    u->waiting_alone -= alone;
}
