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

void demand_note(struct demand *d, uint32_t at_once, uint64_t now)
{
    d->asked_at = now;
    demand_decay(d, now);
    if (at_once < d->peak)
        return;
    d->since = now;
    if (at_once == d->peak)
        return;
    d->peak = at_once;
    if (d->wanted < at_once + DEMAND_PREWARMED(at_once))
        d->wanted = at_once + DEMAND_PREWARMED(at_once);
}

void demand_note_alone(struct demand *d, uint32_t at_once)
{
    d->alone = greater(d->alone, at_once);
}

/* The part of `at_once` that wants to be alone, where it did so in `of`. */
static uint32_t alone_among(uint32_t at_once, const struct demand *of)
{
    uint64_t alone = (uint64_t)at_once * of->alone;
    return of->peak ? (uint32_t)((alone + of->peak - 1) / of->peak) : 0;
}

void demand_expect(struct demand *d, uint32_t at_once, const struct demand *of)
{
    if (at_once <= d->wanted)
        return;
    d->wanted = at_once;
    d->alone = greater(d->alone, alone_among(at_once, of));
    d->since = later(d->since, of->since);
    d->asked_at = later(d->asked_at, of->asked_at);
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
    d->asked_at = later(d->asked_at, other->asked_at);
}
