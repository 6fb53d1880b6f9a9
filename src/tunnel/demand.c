#include "tunnel/demand.h"

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void demand_decay(struct demand *d, uint64_t now)
{
    while ((d->peak || d->wanted) && now >= d->since + DEMAND_HALF_MS) {
        d->peak /= 2;
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
    if (d->wanted < at_once + DEMAND_SPARE(at_once))
        d->wanted = at_once + DEMAND_SPARE(at_once);
}

void demand_expect(struct demand *d, uint32_t at_once, const struct demand *of)
{
    if (at_once <= d->wanted)
        return;
    d->wanted = at_once;
    d->since = later(d->since, of->since);
    d->asked_at = later(d->asked_at, of->asked_at);
}

void demand_limit(struct demand *d, uint32_t enough)
{
    d->peak = lesser(d->peak, enough);
    d->wanted = lesser(d->wanted, enough);
}

void demand_add(struct demand *d, const struct demand *other)
{
    d->peak += other->peak;
    d->since = later(d->since, other->since);
    d->asked_at = later(d->asked_at, other->asked_at);
}
