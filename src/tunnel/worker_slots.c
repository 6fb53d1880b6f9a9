#include "tunnel/worker_slots.h"

int slots_find_free(const struct worker_slots *s, uint32_t next_id)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        unsigned worker = worker_of_stream(next_id + 2 * i);
        if (s->state[worker] == SLOT_FREE)
            return (int)worker;
    }
    return -1;
}

void slots_take(struct worker_slots *s, uint32_t data_id)
{
    s->state[worker_of_stream(data_id)] = SLOT_BUSY;
    s->pair[worker_of_stream(data_id)] = data_id;
    s->overrun[worker_of_stream(data_id)] = false;
}

void slots_on_fin(struct worker_slots *s, uint32_t data_id, bool overrun)
{
    s->state[worker_of_stream(data_id)] = SLOT_SPENT;
    s->overrun[worker_of_stream(data_id)] = overrun;
}

bool slots_may_block(const struct worker_slots *s)
{
    for (unsigned i = 0; i < WORKERS; i++)
        if (s->overrun[i] && s->state[i] != SLOT_FREE)
            return true;
    return false;
}

bool slots_is_unproven(const struct worker_slots *s, uint32_t data_id)
{
    unsigned worker = worker_of_stream(data_id);
    return s->pair[worker] == data_id && s->state[worker] != SLOT_FREE;
}

void slots_on_verdict(struct worker_slots *s, uint32_t data_id, bool clean)
{
    if (!clean && slots_is_unproven(s, data_id))
        s->state[worker_of_stream(data_id)] = SLOT_DEAD;
}

unsigned slots_count(const struct worker_slots *s, enum worker_slot state)
{
    unsigned n = 0;
    for (unsigned i = 0; i < WORKERS; i++)
        n += s->state[i] == state;
    return n;
}

void slots_change_state(struct worker_slots *s, enum worker_slot from,
                        enum worker_slot to)
{
    for (unsigned i = 0; i < WORKERS; i++)
        if (s->state[i] == from)
            s->state[i] = to;
}
