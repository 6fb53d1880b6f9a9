/* serve/recent.c - how many requests there were in the last minute */
#include "serve/recent.h"

#include "serve/client_status.h"

struct serve_rate recent_rate(const struct recent *r, uint64_t now)
{
    uint64_t present = now / RECENT_SLOT_MS, oldest = present - (RECENT_SLOTS - 1);
    struct serve_rate rate = { 0 };

    if (present < RECENT_SLOTS - 1)
        oldest = 0;
    for (int i = 0; i < RECENT_SLOTS; i++) {
        const struct recent_slot *slot = &r->slots[i];
        if (slot->number < oldest || slot->number > present)
            continue;
        rate.requests += slot->requests;
        rate.failures += slot->failures;
    }
    uint64_t from = oldest * RECENT_SLOT_MS;
    if (r->since > from)
        from = r->since;
    rate.ms = r->since ? now - from : 0;
    return rate;
}
