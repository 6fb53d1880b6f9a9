#include "connect/demand.h"

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t greater(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void demand_decay(struct demand *d, uint64_t now)
{
    while ((d->peak || d->wanted) && now >= d->since + DEMAND_HALF_MS) {
        d->peak /= 2;
        d->alone /= 2;
        d->wanted /= 2;
        d->since += DEMAND_HALF_MS;
    }
}

void demand_note(struct demand *d, uint32_t concurrent, uint64_t now)
{
    d->last_opening_at = now;
    demand_decay(d, now);
    if (concurrent < d->peak)
        return;
    d->since = now;
    if (concurrent == d->peak)
        return;
    d->peak = concurrent;
    if (d->wanted < concurrent + DEMAND_PREWARMED(concurrent))
        d->wanted = concurrent + DEMAND_PREWARMED(concurrent);
}

void demand_note_alone(struct demand *d, uint32_t concurrent)
{
    d->alone = greater(d->alone, concurrent);
}

/* How many of `concurrent` connections need an own tunnel: the same proportion as in `of`. */
static uint32_t alone_among(uint32_t concurrent, const struct demand *of)
{
    uint64_t alone = (uint64_t)concurrent * of->alone;
    return of->peak ? (uint32_t)((alone + of->peak - 1) / of->peak) : 0;
}

void demand_expect(struct demand *d, uint32_t concurrent, const struct demand *of)
{
    if (concurrent <= d->wanted)
        return;
    d->wanted = concurrent;
    d->alone = greater(d->alone, alone_among(concurrent, of));
    d->since = later(d->since, of->since);
    d->last_opening_at = later(d->last_opening_at, of->last_opening_at);
}

void demand_limit(struct demand *d, uint32_t enough)
{
    d->peak = lesser(d->peak, enough);
    d->alone = lesser(d->alone, enough);
    d->wanted = lesser(d->wanted, enough);
}

void demand_add(struct demand *d, const struct demand *other)
{
    d->peak += other->peak;
    d->alone += other->alone;
    d->since = later(d->since, other->since);
    d->last_opening_at = later(d->last_opening_at, other->last_opening_at);
}
