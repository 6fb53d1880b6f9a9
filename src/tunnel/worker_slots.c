#include "tunnel/worker_slots.h"

#include <assert.h>

#include "tunnel/pair.h"
#include "tunnel/pod.h"
#include "tunnel/share.h"

#define PROBE_MS 2000 /* five PINGs must be back after this */
#define GATHER_MS 20  /* a probe of a shared tunnel waits for more to prove */

/* The tunnel that got a pair last comes first, as in the pod's list of all tunnels; when its
 * worker became free does not matter. */
static struct list_node *place_by_use(const struct tunnel *t)
{
    list_for_each (other, &t->pod->with_room, struct tunnel, in_room)
        if (other->given < t->given)
            return &other->in_room;
    return &t->pod->with_room;
}

/* Thousands of tunnels may be full: room is looked for only in those with a free worker. */
static void list_by_room(struct tunnel *t)
{
    bool has_room = slots_find_free(t) >= 0;

    if (has_room == !list_empty(&t->in_room))
        return;
    list_remove(&t->in_room);
    if (has_room)
        list_insert_before(place_by_use(t), &t->in_room);
}

static void turn_slots(struct tunnel *t, enum worker_slot from, enum worker_slot to)
{
    for (int r = 0; r < WORKERS; r++)
        if (t->slots[r] == from)
            t->slots[r] = to;
    list_by_room(t);
}

static int count_slots(const struct tunnel *t, enum worker_slot wanted)
{
    int n = 0;
    for (int r = 0; r < WORKERS; r++)
        n += t->slots[r] == wanted;
    return n;
}

/* An answer to the last of the five PINGs may have come. */
static void judge_probe(struct tunnel *t)
{
    if (!t->probe_first || t->probe_missing)
        return;
    t->probe_first = 0;
    turn_slots(t, SLOT_PROBED, SLOT_FREE);
    timer_stop(&t->deadline);
}

/* An own tunnel needs no more than one good slot at a time, and proves the others when
 * it comes to the last one.  On a shared one the next burst may need them all. */
static bool wants_probe(const struct tunnel *t)
{
    if (t->probe_first || !count_slots(t, SLOT_SPENT) || !tunnel_is_listening(t))
        return false;
    if (t->share)
        return !t->gather.at || t->pod->waiters;
    return list_empty(&t->pairs) && (t->retired || count_slots(t, SLOT_FREE) <= 1);
}

static void start_probe(struct tunnel *t)
{
    uint32_t id = 0;

    if (bufq_room(&t->transport->out) < WORKERS * SPDY_PING_SIZE)
        return; /* the next chance is when there is room */
    for (int i = 0; i < WORKERS; i++) {
        bool sent = frames_ping(t, &id);
        assert(sent);
        (void)sent;
    }
    t->probe_first = id - 2 * (WORKERS - 1);
    turn_slots(t, SLOT_SPENT, SLOT_PROBED);
    t->probe_missing = (1u << WORKERS) - 1;
    timer_set(&t->deadline, PROBE_MS);
    task_wake(&t->flush);
}

void slots_run(struct tunnel *t)
{
    judge_probe(t);
    if (wants_probe(t))
        start_probe(t);
}

void slots_on_pong(struct tunnel *t, uint32_t id)
{
    uint32_t n = (id - t->probe_first) / 2;

    if (t->probe_first && id >= t->probe_first && n < WORKERS)
        t->probe_missing &= ~(1u << n);
}

void slots_on_deadline(struct tunnel *t)
{
    if (!tunnel_is_reading(t)) { /* the answers may lie there */
        timer_set(&t->deadline, PROBE_MS);
        return;
    }
    t->probe_first = 0; /* a worker is stuck for good */
    turn_slots(t, SLOT_PROBED, SLOT_DEAD);
    tunnel_retire(t);
}

static void on_gathered(struct timer *timer)
{
    task_wake(&container_of(timer, struct tunnel, gather)->step);
}

void slots_init(struct tunnel *t)
{
    timer_init(&t->gather, t->step.sched, on_gathered);
}

void slots_finish(struct tunnel *t)
{
    timer_stop(&t->gather);
}

int slots_find_free(const struct tunnel *t)
{
    for (int i = 0; i < WORKERS; i++) {
        uint32_t id = (t->last_id ? t->last_id + 2 : 1) + 2 * (uint32_t)i;
        if (t->slots[id % WORKERS] == SLOT_FREE)
            return (int)(id % WORKERS);
    }
    return -1;
}

void slots_take(struct tunnel *t, uint32_t data_id)
{
    t->slots[data_id % WORKERS] = SLOT_BUSY;
    t->slot_pair[data_id % WORKERS] = data_id;
    list_by_room(t);
}

bool slots_are_dead(const struct tunnel *t)
{
    return count_slots(t, SLOT_DEAD) == WORKERS;
}

bool slots_have_delivered(const struct tunnel *t)
{
    list_for_each (p, &t->left, struct pair, in_tunnel) {
        unsigned r = p->data_id % WORKERS;
        if (t->slot_pair[r] == p->data_id && t->slots[r] != SLOT_FREE)
            return false;
    }
    return true;
}

bool slots_are_good(const struct tunnel *t)
{
    return count_slots(t, SLOT_DEAD) == 0 && slots_have_delivered(t);
}

/* Whatever its verdict will be: a probe can tell from now on that all of it was taken. */
void slots_on_pair_left(struct tunnel *t, const struct pair *p)
{
    t->slots[p->data_id % WORKERS] = SLOT_SPENT;
    if (t->share && !t->gather.at)
        timer_set(&t->gather, GATHER_MS);
}

/* One that failed may have stopped its worker, unless a probe has said more since: then
 * the slot is free, or another's. */
void slots_on_pair_gone(struct tunnel *t, const struct pair *p)
{
    unsigned r = p->data_id % WORKERS;
    bool proven = t->slot_pair[r] != p->data_id || t->slots[r] == SLOT_FREE;

    if (!proven && p->stream.end.verdict != V_CLEAN)
        t->slots[r] = SLOT_DEAD;
}
