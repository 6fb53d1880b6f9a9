/* Open addressing with linear probing.  A removed entry leaves its slot dead, so that
 * nothing moves under an iteration; later entries reuse dead slots, which count towards
 * the load of 3/4 at which the table is rebuilt, so look-ups stay short. */
#include "base/map.h"

#include <sys/random.h>

#include "base/own.h"

static uint64_t map_seed;

void map_choose_seed(void)
{
    uint64_t seed;

    if (getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed))
        map_seed = seed;
}

uint64_t map_hash(struct str key)
{
    return str_hash_seeded(key, map_seed);
}

void map_init(struct map *m)
{
    *m = (struct map){ 0 };
}

void map_finish(struct map *m)
{
    for (size_t i = 0; i < m->capacity; i++)
        free(m->slots[i].key);
    free(m->slots);
    map_init(m);
}

/* The value of `hash` in a slot without a key. */
#define DEAD 1

static bool is_dead(const struct map_entry *e)
{
    return !e->key && e->hash == DEAD;
}

static bool holds(const struct map_entry *e, struct str key, uint64_t hash)
{
    return e->key && e->hash == hash && str_eq((struct str){ e->key, e->key_len }, key);
}

/* The slot that holds the key, or the first free slot for it. */
static struct map_entry *probe(const struct map *m, struct str key, uint64_t hash)
{
    size_t mask = m->capacity - 1;
    struct map_entry *dead = NULL;

    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct map_entry *e = &m->slots[i];
        if (holds(e, key, hash))
            return e;
        if (is_dead(e) && !dead)
            dead = e;
        if (!e->key && !is_dead(e))
            return dead ? dead : e;
    }
}

void *map_get(const struct map *m, struct str key)
{
    return m->capacity ? probe(m, key, map_hash(key))->value : NULL;
}

void *map_get_hashed(const struct map *m, struct str key, uint64_t hash)
{
    return m->capacity ? probe(m, key, hash)->value : NULL;
}

/* Makes a larger table, or one of the same size if the old one was filled by dead
 * slots. */
static void rebuild(struct map *m)
{
    struct map old = *m;
    bool crowded = m->count + 1 > m->capacity / 2;
    m->capacity = !old.capacity ? 16 : crowded ? old.capacity * 2 : old.capacity;
    m->used = m->count;
    m->slots = xcalloc(m->capacity, sizeof(*m->slots));
    for (size_t i = 0; i < old.capacity; i++) {
        struct map_entry *e = &old.slots[i];
        if (e->key)
            *probe(m, (struct str){ e->key, e->key_len }, e->hash) = *e;
    }
    free(old.slots);
}

void *map_set(struct map *m, struct str key, void *value)
{
    if (m->used + 1 > m->capacity / 4 * 3)
        rebuild(m);
    uint64_t hash = map_hash(key);
    struct map_entry *e = probe(m, key, hash);
    void *old = e->value;
    if (!e->key) {
        m->used += !is_dead(e);
        m->count++;
        *e = (struct map_entry){ str_dup(key), key.len, hash, NULL };
    }
    e->value = value;
    return old;
}

void *map_remove(struct map *m, struct str key)
{
    if (!m->capacity)
        return NULL;
    struct map_entry *e = probe(m, key, map_hash(key));
    if (!e->key)
        return NULL;
    void *value = e->value;
    free(e->key);
    *e = (struct map_entry){ .hash = DEAD };
    m->count--;
    return value;
}

struct map_entry *map_next(const struct map *m, size_t *at)
{
    while (*at < m->capacity)
        if (m->slots[(*at)++].key)
            return &m->slots[*at - 1];
    return NULL;
}
