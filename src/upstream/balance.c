#include "upstream/balance.h"

#include "base/map.h"
#include "base/own.h"
#include "route/name.h"
#include "route/route.h"

#define REFUSALS_MAX 2   /* after this many in a row the endpoint is an outlier ... */
#define REFUSED_MS 30000 /* ... for this long */
#define LATELY_MS 60000

/* The load of one endpoint. */
struct load {
    unsigned exchanges;     /* in progress */
    uint64_t begun;         /* so far */
    uint64_t turn;          /* number of its last use, counted over all endpoints */
    uint16_t refused_port;  /* the port whose refusals are counted */
    unsigned refusals;      /* in a row */
    uint64_t refused_until; /* sched ms: it is an outlier for that port until then */
    uint16_t answered_port; /* the port whose response was the last */
    uint64_t answered_at;   /* sched ms: when; 0: never */
    bool forgotten;         /* the pod is gone: freed when its last exchange ends */
};

struct balance {
    struct sched *sched;
    struct map loads; /* by endpoint key */
    size_t
        outliers; /* loads with a refused_until: mostly 0, and then none is looked up */
    uint64_t turns;
};

enum fitness { UNFIT, FIT_TERMINATING, FIT_AVOIDED, FIT_READY };

static bool same(const struct endpoint *a, const struct endpoint *b)
{
    return a && b && strcmp(a->key, b->key) == 0;
}

static bool names_one_endpoint(const struct route *r)
{
    return r->name.kind == NAME_ENDPOINT || r->name.kind == NAME_POD;
}

/* Has a ready endpoint of the subset the port?  The others of the service may have it where
 * these have not. */
static bool subset_serves(const struct choice *c)
{
    for (size_t i = 0; i < SERVICE_SUBSET; i++) {
        const struct endpoint *e = c->service->endpoints[i];
        if (e->ready && !e->terminating &&
            route_container_port(c->route, c->service, e, c->port_index))
            return true;
    }
    return false;
}

size_t choice_limit(const struct choice *c)
{
    size_t count = c->service->endpoint_count;
    bool all =
        count <= SERVICE_SUBSET || names_one_endpoint(c->route) || c->service->sticky;

    return all || !subset_serves(c) ? count : SERVICE_SUBSET;
}

/* NULL: nothing was counted for this endpoint. */
static struct load *load_of(const struct balance *b, const struct endpoint *e)
{
    struct str key = str_of(e->key);
    return map_get_hashed(&b->loads, key, e->hash ? e->hash : map_hash(key));
}

static bool is_outlier(const struct balance *b, const struct endpoint *e, uint16_t port)
{
    const struct load *l = b->outliers ? load_of(b, e) : NULL;
    return l && l->refused_port == port && l->refused_until > b->sched->now;
}

static void set_refused_until(struct balance *b, struct load *l, uint64_t until)
{
    b->outliers -= l->refused_until != 0;
    l->refused_until = until;
    b->outliers += until != 0;
}

static enum fitness fitness(const struct balance *b, const struct choice *c,
                            const struct endpoint *e)
{
    uint16_t port = route_container_port(c->route, c->service, e, c->port_index);

    if (!port || !route_matches(c->route, e))
        return UNFIT;
    if (names_one_endpoint(c->route))
        return FIT_READY;
    bool failed = same(e, c->avoid) || is_outlier(b, e, port);
    if (e->terminating)
        return failed ? UNFIT : FIT_TERMINATING;
    if (!e->ready)
        return UNFIT;
    return failed ? FIT_AVOIDED : FIT_READY;
}

static enum fitness best_fitness(const struct balance *b, const struct choice *c,
                                 size_t *ret_count)
{
    enum fitness best = UNFIT;
    size_t limit = choice_limit(c);

    for (size_t i = 0; i < limit; i++) {
        enum fitness f = fitness(b, c, c->service->endpoints[i]);
        if (f > best)
            *ret_count = 0;
        if (f >= best)
            ++*ret_count;
        best = f > best ? f : best;
    }
    return best;
}

static struct endpoint *nth(const struct balance *b, const struct choice *c,
                            enum fitness wanted, size_t n)
{
    for (size_t i = 0; i < c->service->endpoint_count; i++)
        if (fitness(b, c, c->service->endpoints[i]) == wanted && n-- == 0)
            return c->service->endpoints[i];
    return NULL;
}

/* Rendezvous hashing: a client changes its endpoint only when that one is removed. */
static struct endpoint *sticky(const struct balance *b, const struct choice *c,
                               enum fitness wanted)
{
    struct endpoint *best = NULL;
    uint64_t best_hash = 0;
    uint64_t client = str_hash(c->client);

    for (size_t i = 0; i < c->service->endpoint_count; i++) {
        struct endpoint *e = c->service->endpoints[i];
        uint64_t hash = (str_hash(str_of(e->key)) ^ client) * 0x9e3779b97f4a7c15ull;
        if (fitness(b, c, e) != wanted || (best && hash <= best_hash))
            continue;
        best = e;
        best_hash = hash;
    }
    return best;
}

static bool better(const struct balance *b, const struct endpoint *a,
                   const struct endpoint *than)
{
    static const struct load unknown = { 0 };
    const struct load *x = load_of(b, a);
    const struct load *y = load_of(b, than);

    x = x ? x : &unknown;
    y = y ? y : &unknown;
    return x->exchanges != y->exchanges ? x->exchanges < y->exchanges : x->turn < y->turn;
}

bool balance_prefers(const struct balance *b, const struct endpoint *e,
                     const struct endpoint *than)
{
    return better(b, e, than);
}

bool balance_is_fit(const struct balance *b, const struct choice *c,
                    const struct endpoint *e)
{
    return fitness(b, c, e) == FIT_READY;
}

bool balance_may_choose(const struct balance *b, const struct choice *c,
                        const struct endpoint *e)
{
    return fitness(b, c, e) != UNFIT;
}

struct endpoint *balance_choose(struct balance *b, const struct choice *c)
{
    size_t count = 0;
    enum fitness best = best_fitness(b, c, &count);

    if (best == UNFIT)
        return NULL;
    if (c->service->sticky)
        return sticky(b, c, best);
    size_t first = (size_t)sched_random_below(b->sched, count);
    struct endpoint *one = nth(b, c, best, first);
    if (count == 1)
        return one;
    size_t second = (first + 1 + (size_t)sched_random_below(b->sched, count - 1)) % count;
    struct endpoint *other = nth(b, c, best, second);
    return better(b, other, one) ? other : one;
}

void balance_begin(struct balance *b, const struct endpoint *e)
{
    struct load *l = load_of(b, e);
    if (!l) {
        l = xcalloc(1, sizeof(*l));
        map_set(&b->loads, str_of(e->key), l);
    }
    l->exchanges++;
    l->begun++;
    l->turn = ++b->turns;
}

static void drop(struct balance *b, const char *key)
{
    struct load *l = map_remove(&b->loads, str_of(key));

    set_refused_until(b, l, 0);
    free(l);
}

void balance_end(struct balance *b, const struct endpoint *e)
{
    struct load *l = load_of(b, e);
    if (l && --l->exchanges == 0 && l->forgotten)
        drop(b, e->key);
}

void balance_on_refusal(struct balance *b, const struct endpoint *e, uint16_t port)
{
    struct load *l = load_of(b, e);

    if (!l)
        return;
    l->refusals = l->refused_port == port ? l->refusals + 1 : 1;
    l->refused_port = port;
    if (l->refusals >= REFUSALS_MAX)
        set_refused_until(b, l, b->sched->now + REFUSED_MS);
}

void balance_on_answer(struct balance *b, const struct endpoint *e, uint16_t port)
{
    struct load *l = load_of(b, e);

    if (!l)
        return;
    l->answered_port = port;
    l->answered_at = b->sched->now;
    if (l->refused_port != port)
        return;
    l->refusals = 0;
    set_refused_until(b, l, 0);
}

bool balance_answered_lately(const struct balance *b, const struct endpoint *e,
                             uint16_t port)
{
    const struct load *l = load_of(b, e);

    return l && l->answered_at && l->answered_port == port &&
           b->sched->now - l->answered_at < LATELY_MS;
}

void balance_forget(struct balance *b, const char *pod_key)
{
    struct load *l = map_get(&b->loads, str_of(pod_key));
    if (!l)
        return;
    l->forgotten = true;
    if (l->exchanges == 0)
        drop(b, pod_key);
}

/* The catalog reports the end of a pod only while its service is watched; the loads of other
 * pods are freed here. */
void balance_trim(struct balance *b)
{
    size_t at = 0;
    for (struct map_entry *e; (e = map_next(&b->loads, &at));) {
        const struct load *l = e->value;
        if (!l->exchanges && l->refused_until <= b->sched->now)
            drop(b, e->key);
    }
}

struct balance *balance_create(struct sched *sched)
{
    struct balance *b = xcalloc(1, sizeof(*b));
    b->sched = sched;
    map_init(&b->loads);
    return b;
}

void balance_destroy(struct balance *b)
{
    size_t at = 0;
    if (!b)
        return;
    for (struct map_entry *e; (e = map_next(&b->loads, &at));)
        free(e->value);
    map_finish(&b->loads);
    free(b);
}

void balance_each(const struct balance *b,
                  void (*each)(void *owner, const struct pod_load *), void *owner)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&b->loads, &at));) {
        const struct load *l = e->value;
        const struct pod_load load = { .key = e->key,
                                       .running = l->exchanges,
                                       .requests = l->begun,
                                       .outlier = l->refused_until > b->sched->now };
        each(owner, &load);
    }
}
