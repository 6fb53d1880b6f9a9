/* serve/pressure.c - which client gives way when descriptors, memory or tunnels run short */
#include "serve/pressure.h"

#include "base/log.h"
#include "base/metrics.h"

LOG_MODULE(serve);

#define EPISODE_MS 10000 /* without an event: the next one is logged again */
#define AGAIN_MS 100     /* while over the limit, and nothing may give way yet */

static struct metric shed = {
    .name = "kube_tunnel_shed_total",
    .help =
        "Connections closed and requests refused because descriptors, memory or tunnels "
        "ran short, by kind.",
    .type = METRIC_COUNTER,
    .label = "kind",
    .values = { "idle", "head", "unread", "waiting", "client", "request" },
};

static const char *const sentences[PRESSURE_EVENTS] = {
    [EVENT_IDLE] = "limit on clients reached: idle connections are closed",
    [EVENT_HEAD] = "buffer-memory is used up: the largest unfinished heads are refused",
    [EVENT_UNREAD] = ("descriptors, memory or tunnels are used up: connections that do "
                      "not read their response are closed"),
    [EVENT_WAITING] = "buffer-memory is used up: connections without progress are closed",
    [EVENT_CLIENT] = "limit on clients reached: new clients are refused",
    [EVENT_REQUEST] = "buffer-memory is used up: new requests are refused",
};

static void holders_init(struct holders *s)
{
    *s = (struct holders){ 0 };
    list_init(&s->unread);
    list_init(&s->waiting);
    for (size_t i = 0; i < PRESSURE_HEAD_SIZES; i++)
        list_init(&s->heads[i]);
}

void pressure_note(struct pressure *p, enum pressure_event event)
{
    uint64_t now = p->sched->now, *seen = &p->seen[event];

    if (!*seen || now - *seen >= EPISODE_MS)
        log_warn(NO_ID, sentences[event], LOG_U("buffered", p->pool->held));
    *seen = now;
    metric_add(&shed, event, 1);
}

/* Accounts. */

static void note_largest(struct pressure *p, struct account *a)
{
    if (a->holders.bytes > p->pool->limit / 2)
        p->largest = a;
    else if (p->largest == a)
        p->largest = NULL;
}

static struct account *account_of(struct holder *h)
{
    struct pressure *p = h->pressure;

    if (h->account)
        return h->account;
    struct account *a = map_get(&p->accounts, str_of(h->client));
    if (!a) {
        a = xcalloc(1, sizeof(*a));
        a->key = xstrdup(h->client);
        holders_init(&a->holders);
        map_set(&p->accounts, str_of(a->key), a);
    }
    a->sessions++;
    h->account = a;
    return a;
}

static void leave_account(struct holder *h)
{
    struct account *a = h->account;

    h->account = NULL;
    if (!a || --a->sessions)
        return;
    map_remove(&h->pressure->accounts, str_of(a->key));
    free(a->key);
    free(a);
}

/* Lists. */

static struct list_node *list_of(struct holders *s, const struct holder *h)
{
    return h->what == HOLDING_HEAD     ? &s->heads[h->size]
           : h->what == HOLDING_UNREAD ? &s->unread
                                       : &s->waiting;
}

static void add_bytes(struct holders *s, const struct holder *h, size_t bytes)
{
    s->bytes += bytes;
    s->head_bytes += h->what == HOLDING_HEAD ? bytes : 0;
}

static void set_bytes(struct holder *h, size_t bytes)
{
    size_t change = bytes - h->bytes; /* which wraps, as the sums do */

    add_bytes(&h->pressure->all, h, change);
    add_bytes(&h->account->holders, h, change);
    h->bytes = bytes;
    note_largest(h->pressure, h->account);
}

void holder_none(struct holder *h)
{
    if (h->bytes)
        set_bytes(h, 0);
    list_remove(&h->in_all);
    list_remove(&h->in_account);
    h->what = HOLDING_NOTHING;
}

static void join(struct holder *h, enum holding what)
{
    struct account *a = account_of(h);

    holder_none(h);
    h->what = what;
    h->since = h->pressure->sched->now;
    list_append(list_of(&h->pressure->all, h), &h->in_all);
    list_append(list_of(&a->holders, h), &h->in_account);
}

void holder_idle(struct holder *h)
{
    holder_none(h);
    h->what = HOLDING_IDLE;
    h->since = h->pressure->sched->now;
    list_append(&h->pressure->idle, &h->in_all);
}

static unsigned size_class(size_t len)
{
    unsigned size = 0;

    while (size + 1 < PRESSURE_HEAD_SIZES && len > (size_t)1024 << size)
        size++;
    return size;
}

void holder_head(struct holder *h, size_t len, size_t memory)
{
    unsigned size = size_class(len);

    if (h->what != HOLDING_HEAD || h->size != size) {
        holder_none(h);
        h->size = size;
        join(h, HOLDING_HEAD);
    }
    set_bytes(h, memory);
    if (h->pressure->all.head_bytes > h->pressure->pool->limit / 4 * 3)
        task_wake(&h->pressure->relieve);
}

void holder_wait(struct holder *h, bool unread, size_t bytes, uint64_t progress)
{
    enum holding what = unread ? HOLDING_UNREAD : HOLDING_WAITING;

    if (bytes < (unread ? 1 : PRESSURE_WAITING_MIN)) {
        if (h->what != HOLDING_NOTHING)
            holder_none(h);
        return;
    }
    if (h->what != what || h->progress != progress)
        join(h, what);
    h->progress = progress;
    set_bytes(h, bytes);
}

/* Which one gives way. */

static struct holder *first(struct list_node *list)
{
    return list_empty(list) ? NULL : list_first(list, struct holder, in_all);
}

static struct holder *first_of_account(struct list_node *list)
{
    return list_empty(list) ? NULL : list_first(list, struct holder, in_account);
}

static struct holder *largest_head(struct pressure *p)
{
    struct account *a = p->largest;

    for (size_t i = PRESSURE_HEAD_SIZES; a && i-- > 0;)
        if (!list_empty(&a->holders.heads[i]))
            return first_of_account(&a->holders.heads[i]);
    for (size_t i = PRESSURE_HEAD_SIZES; i-- > 0;)
        if (!list_empty(&p->all.heads[i]))
            return first(&p->all.heads[i]);
    return NULL;
}

static struct holder *older(struct holder *a, struct holder *b)
{
    return !a ? b : !b || a->since <= b->since ? a : b;
}

/* Far beyond the limit there is no time to find out whether a connection is busy. */
static struct holder *longest_stalled(struct pressure *p)
{
    struct account *a = p->largest;
    struct holder *h = a ? older(first_of_account(&a->holders.unread),
                                 first_of_account(&a->holders.waiting))
                         : NULL;
    size_t urgent = p->pool->limit + p->pool->limit / 16;

    if (!h)
        h = older(first(&p->all.unread), first(&p->all.waiting));
    if (!h || p->sched->now - h->since >= PRESSURE_STALL_MS || p->pool->held > urgent)
        return h;
    return NULL;
}

/* Heads give way only where they hold a considerable part. */
static struct holder *choose(struct pressure *p)
{
    bool many_heads = p->all.head_bytes > p->pool->limit / 4;
    struct holder *h = many_heads ? largest_head(p) : NULL;

    if (!h)
        h = longest_stalled(p);
    return h ? h : largest_head(p);
}

static void evict(struct pressure *p, struct holder *h)
{
    enum holding what = h->what;

    pressure_note(p, what == HOLDING_HEAD     ? EVENT_HEAD
                     : what == HOLDING_UNREAD ? EVENT_UNREAD
                                              : EVENT_WAITING);
    holder_none(h);
    h->give_way(h, what);
}

/* What gives way frees its memory in this turn, but not at once. */
static void on_relieve(struct task *task)
{
    struct pressure *p = container_of(task, struct pressure, relieve);
    size_t limit = p->pool->limit, freed = 0;
    struct holder *h;

    while (p->all.head_bytes > limit / 4 * 3 && (h = largest_head(p))) {
        freed += h->bytes;
        evict(p, h);
    }
    while (p->pool->held > limit + freed && (h = choose(p))) {
        freed += h->bytes;
        evict(p, h);
    }
    if (p->pool->held > limit + freed)
        timer_set(&p->again, AGAIN_MS);
}

static void on_again(struct timer *timer)
{
    task_wake(&container_of(timer, struct pressure, again)->relieve);
}

static bool free_holder(struct holder *h, enum pressure_event event)
{
    struct pressure *p = h->pressure;
    enum holding what = h->what;

    holder_none(h);
    if (!h->give_way(h, what))
        return false;
    pressure_note(p, event); /* *h may be freed */
    return true;
}

static bool free_from(struct pressure *p, struct list_node *list, uint64_t min_ms,
                      enum pressure_event event)
{
    list_for_each (h, list, struct holder, in_all) {
        if (p->sched->now - h->since < min_ms)
            return false;
        if (free_holder(h, event))
            return true;
    }
    return false;
}

bool pressure_free_descriptor(struct pressure *p)
{
    return free_from(p, &p->idle, PRESSURE_IDLE_MS, EVENT_IDLE) ||
           free_from(p, &p->all.unread, PRESSURE_STALL_MS, EVENT_UNREAD);
}

bool pressure_free_tunnel(struct pressure *p,
                          bool (*uses)(const struct holder *h, const char *pod_key),
                          const char *pod_key)
{
    list_for_each (h, &p->all.unread, struct holder, in_all) {
        if (p->sched->now - h->since < PRESSURE_STALL_MS)
            return false;
        if (uses(h, pod_key) && free_holder(h, EVENT_UNREAD))
            return true;
    }
    return false;
}

bool pressure_refuses(const struct pressure *p)
{
    return p->pool->held > p->pool->limit;
}

void pressure_init(struct pressure *p, struct sched *sched, struct chunk_pool *pool)
{
    *p = (struct pressure){ .sched = sched, .pool = pool };
    list_init(&p->idle);
    holders_init(&p->all);
    map_init(&p->accounts);
    task_init(&p->relieve, sched, RANK_WORK, on_relieve);
    timer_init(&p->again, sched, on_again);
    metrics_register(&shed);
}

void pressure_finish(struct pressure *p)
{
    chunk_pool_set_limit(p->pool, SIZE_MAX, NULL);
    task_cancel(&p->relieve);
    timer_stop(&p->again);
    map_finish(&p->accounts);
}

void holder_init(struct holder *h, struct pressure *p, const char *client,
                 bool (*give_way)(struct holder *h, enum holding what))
{
    *h = (struct holder){ .pressure = p, .client = client, .give_way = give_way };
    list_init(&h->in_all);
    list_init(&h->in_account);
}

void holder_finish(struct holder *h)
{
    holder_none(h);
    leave_account(h);
}
