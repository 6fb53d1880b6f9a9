#include "upstream/waiters.h"

#include <assert.h>

#include "base/own.h"

struct waiter_queue {
    struct map *queues;
    struct list_node alone, any; /* struct waiter, oldest first */
    char key[];
};

static struct waiter_queue *queue_get(struct map *queues, struct str key)
{
    struct waiter_queue *q = map_get(queues, key);

    if (q)
        return q;
    q = xcalloc(1, sizeof(*q) + key.len + 1);
    q->queues = queues;
    list_init(&q->alone);
    list_init(&q->any);
    memcpy(q->key, key.at, key.len);
    map_set(queues, key, q);
    return q;
}

void waiters_add(struct waiters *w, struct waiter *waiter, const struct endpoint *e,
                 struct port_use use, bool alone)
{
    char room[POOL_KEY_ROOM];

    assert(!waiter->queue);
    waiter->queue = queue_get(&w->queues, pool_key(e, use, room));
    waiter->turn = ++w->turns;
    list_append(alone ? &waiter->queue->alone : &waiter->queue->any, &waiter->node);
}

void waiters_remove(struct waiter *waiter)
{
    struct waiter_queue *q = TAKE(waiter->queue);

    if (!q)
        return;
    list_remove(&waiter->node);
    if (!list_empty(&q->alone) || !list_empty(&q->any))
        return;
    map_remove(q->queues, str_of(q->key));
    free(q);
}

static struct waiter *first_of(const struct list_node *list)
{
    return list_empty(list) ? NULL : list_first(list, struct waiter, node);
}

struct waiter *waiters_oldest(const struct waiters *w, const struct endpoint *e,
                              struct port_use use, bool shared)
{
    char room[POOL_KEY_ROOM];

    if (w->queues.count == 0)
        return NULL;
    const struct waiter_queue *q = map_get(&w->queues, pool_key(e, use, room));
    struct waiter *any = q ? first_of(&q->any) : NULL;
    struct waiter *alone = q && !shared ? first_of(&q->alone) : NULL;
    if (!any || !alone)
        return any ? any : alone;
    return any->turn < alone->turn ? any : alone;
}

void waiters_init(struct waiters *w)
{
    *w = (struct waiters){ 0 };
    map_init(&w->queues);
}

void waiters_finish(struct waiters *w)
{
    assert(w->queues.count == 0);
    map_finish(&w->queues);
}
