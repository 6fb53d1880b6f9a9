#include "tunnel/shortage.h"

#define AGAIN_MS                                                                         \
    250 /* until the next check: an ended connection has freed its tunnel by then */

static uint32_t openings_lacking(const struct pod_tunnels *p)
{
    bool full = p->counts.all >= p->owner->settings.tunnels_max;
    uint32_t waiters = p->usage.waiters, coming = p->counts.coming;
    return full && waiters > coming ? waiters - coming : 0;
}

static void free_tunnels(struct pod_tunnels *p)
{
    const struct tunnel_room *room = &p->owner->settings.room;

    for (uint32_t n = openings_lacking(p); n; n--)
        if (!room->free_tunnel(room->owner, p->key))
            return;
}

/* Goes through the list by moving its entries, since free_tunnel ends connections, which may
 * free pods or add some. */
static void free_in_all(struct tunnels *ts)
{
    struct list_node *full = &ts->shortage.full, seen;

    list_init(&seen);
    while (!list_empty(full)) {
        struct pod_tunnels *p = list_first(full, struct pod_tunnels, full);
        list_remove(&p->full);
        if (!openings_lacking(p))
            continue;
        list_append(&seen, &p->full);
        free_tunnels(p);
    }
    if (!list_empty(&seen))
        timer_set(&ts->shortage.again, AGAIN_MS);
    while (!list_empty(&seen)) {
        struct list_node *first = seen.next;
        list_remove(first);
        list_append(full, first);
    }
}

static void on_shortage(struct task *task)
{
    struct tunnels *ts = container_of(task, struct tunnels, shortage.task);
    const struct tunnel_room *room = &ts->settings.room;

    for (; ts->shortage.descriptors; ts->shortage.descriptors--)
        room->free_descriptor(room->owner);
    if (!ts->shortage.again.at)
        free_in_all(ts);
}

static void on_shortage_again(struct timer *timer)
{
    task_wake(&container_of(timer, struct shortage, again)->task);
}

void shortage_check(struct pod_tunnels *p)
{
    struct tunnels *ts = p->owner;

    if (!ts->settings.room.owner || !openings_lacking(p) || !list_empty(&p->full))
        return;
    list_append(&ts->shortage.full, &p->full);
    task_wake(&ts->shortage.task);
}

void shortage_of_descriptor(struct tunnels *ts)
{
    if (!ts->settings.room.owner)
        return;
    ts->shortage.descriptors++;
    task_wake(&ts->shortage.task);
}

void shortage_init(struct tunnels *ts)
{
    list_init(&ts->shortage.full);
    task_init(&ts->shortage.task, ts->sched, RANK_WORK, on_shortage);
    timer_init(&ts->shortage.again, ts->sched, on_shortage_again);
}

void shortage_finish(struct tunnels *ts)
{
    task_cancel(&ts->shortage.task);
    timer_stop(&ts->shortage.again);
}
