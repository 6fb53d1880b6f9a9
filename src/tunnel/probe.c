#include "tunnel/probe.h"

void probe_init(struct probe *p, struct pings *pings, struct worker_slots *slots,
                struct sched *sched, void (*on_deadline)(struct timer *),
                void (*on_gathered)(struct timer *))
{
    p->pings = pings;
    p->slots = slots;
    p->first = 0;
    timer_init(&p->deadline, sched, on_deadline);
    timer_init(&p->gather, sched, on_gathered);
}

void probe_finish(struct probe *p)
{
    timer_stop(&p->deadline);
    timer_stop(&p->gather);
}

bool probe_start(struct probe *p)
{
    if (!pings_send_round(p->pings, &p->first))
        return false;
    slots_change_state(p->slots, SLOT_SPENT, SLOT_PROBED);
    p->missing = (1u << WORKERS) - 1;
    timer_set(&p->deadline, PROBE_MS);
    return true;
}

void probe_on_pong(struct probe *p, uint32_t ping_id)
{
    uint32_t n = (ping_id - p->first) / 2;

    if (p->first && ping_id >= p->first && n < WORKERS)
        p->missing &= ~(1u << n);
}

bool probe_is_answered(struct probe *p)
{
    if (!p->first || p->missing)
        return false;
    p->first = 0;
    slots_change_state(p->slots, SLOT_PROBED, SLOT_FREE);
    timer_stop(&p->deadline);
    return true;
}

void probe_fail(struct probe *p)
{
    p->first = 0;
    slots_change_state(p->slots, SLOT_PROBED, SLOT_DEAD);
}

void probe_extend(struct probe *p)
{
    timer_set(&p->deadline, PROBE_MS);
}

void probe_gather(struct probe *p)
{
    if (!p->gather.at)
        timer_set(&p->gather, PROBE_GATHER_MS);
}
