#include "base/sched.h"

#include <assert.h>

#include "base/own.h"

void task_init(struct task *t, struct sched *sched, enum rank rank,
               void (*run)(struct task *))
{
    *t = (struct task){ .run = run, .sched = sched, .rank = rank };
    list_init(&t->ready);
}

void task_wake(struct task *t)
{
    if (!t)
        return;
    list_remove(&t->ready);
    list_append(&t->sched->ready[t->rank], &t->ready);
}

void task_yield(struct task *t)
{
    if (list_empty(&t->ready))
        list_append(&t->sched->yielded, &t->ready);
}

void task_cancel(struct task *t)
{
    if (t->ready.next)
        list_remove(&t->ready);
}

/* Timers: a binary heap on `queued`.  Moving a deadline later, as busy connections do at
 * every request, only changes `at`; the timer is sorted anew when `queued` is reached. */

static void place(struct sched *s, size_t i, struct timer *t)
{
    s->heap[i] = t;
    t->slot = i + 1;
}

static void sift_up(struct sched *s, size_t i, struct timer *t)
{
    while (i > 0 && s->heap[(i - 1) / 2]->queued > t->queued) {
        place(s, i, s->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(s, i, t);
}

static void sift_down(struct sched *s, size_t i, struct timer *t)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->timers)
            break;
        if (child + 1 < s->timers && s->heap[child + 1]->queued < s->heap[child]->queued)
            child++;
        if (s->heap[child]->queued >= t->queued)
            break;
        place(s, i, s->heap[child]);
        i = child;
    }
    place(s, i, t);
}

static void heap_insert(struct timer *t)
{
    struct sched *s = t->sched;
    if (s->timers == s->heap_room) {
        s->heap_room = s->heap_room ? s->heap_room * 2 : 64;
        s->heap = xrealloc(s->heap, s->heap_room * sizeof(struct timer *));
    }
    t->queued = t->at;
    sift_up(s, s->timers++, t);
}

static void heap_remove(struct timer *t)
{
    struct sched *s = t->sched;
    size_t i = t->slot - 1;
    struct timer *last = s->heap[--s->timers];

    t->slot = 0;
    if (last == t)
        return;
    if (i > 0 && s->heap[(i - 1) / 2]->queued > last->queued)
        sift_up(s, i, last);
    else
        sift_down(s, i, last);
}

void timer_init(struct timer *t, struct sched *sched, void (*fire)(struct timer *))
{
    *t = (struct timer){ .fire = fire, .sched = sched };
}

void timer_set_at(struct timer *t, uint64_t at)
{
    t->at = at;
    if (at == 0 || (t->slot && t->queued <= at))
        return;
    if (t->slot)
        heap_remove(t);
    heap_insert(t);
}

void timer_set(struct timer *t, uint64_t after_ms)
{
    timer_set_at(t, after_ms ? t->sched->now + after_ms : 0);
}

void timer_stop(struct timer *t)
{
    t->at = 0;
    if (t->slot)
        heap_remove(t);
}

static void fire_due(struct sched *s)
{
    while (s->timers && s->heap[0]->queued <= s->now) {
        struct timer *t = s->heap[0];
        heap_remove(t);
        if (t->at == 0)
            continue;
        if (t->at > s->now) {
            heap_insert(t);
            continue;
        }
        t->at = 0;
        t->fire(t);
    }
}

void sched_init(struct sched *s, uint64_t seed)
{
    *s = (struct sched){ .now = 1, .random = seed };
    for (int r = 0; r < RANKS; r++)
        list_init(&s->ready[r]);
    list_init(&s->yielded);
}

void sched_finish(struct sched *s)
{
    free(s->heap);
    s->heap = NULL;
}

static void collect_yielded(struct sched *s)
{
    while (!list_empty(&s->yielded)) {
        struct task *t = list_first(&s->yielded, struct task, ready);
        list_remove(&t->ready);
        list_append(&s->ready[t->rank], &t->ready);
    }
}

static struct task *next_task(struct sched *s)
{
    for (int r = 0; r < RANKS; r++)
        if (!list_empty(&s->ready[r]))
            return list_first(&s->ready[r], struct task, ready);
    return NULL;
}

void sched_run(struct sched *s, uint64_t now)
{
    assert(now >= s->now);
    s->now = now;
    collect_yielded(s);
    fire_due(s);
    for (struct task *t; (t = next_task(s));) {
        list_remove(&t->ready);
        t->run(t);
    }
}

static bool is_late(const struct sched *s, uint64_t now)
{
    return s->timers && now > s->heap[0]->queued + SCHED_STOPPED_MS &&
           now > s->now + SCHED_STOPPED_MS;
}

void sched_tick(struct sched *s, uint64_t real)
{
    uint64_t now = real > s->now + s->held ? real - s->held : s->now;

    if (!s->stands && is_late(s, now)) {
        s->stands = true;
        s->stopped = now - s->now;
    }
    if (s->stands)
        s->held = real - s->now;
    else
        s->now = now;
}

void sched_turn(struct sched *s, uint64_t real, bool polled)
{
    bool goes_on = s->stands && polled;

    sched_tick(s, real);
    if (goes_on) {
        s->stands = false;
        task_wake(s->wake);
    }
    sched_run(s, s->now);
}

uint64_t sched_wait(const struct sched *s)
{
    if (s->stands || !list_empty(&s->yielded))
        return 0;
    for (int r = 0; r < RANKS; r++)
        if (!list_empty(&s->ready[r]))
            return 0;
    if (!s->timers)
        return UINT64_MAX;
    uint64_t at = s->heap[0]->queued;
    return at > s->now ? at - s->now : 0;
}

uint64_t sched_random(struct sched *s)
{
    uint64_t z = (s->random += 0x9e3779b97f4a7c15ull); /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

uint64_t sched_random_below(struct sched *s, uint64_t n)
{
    return sched_random(s) % n;
}
