/* Open addressing with linear probing, at most 3/4 full.  Removal shifts the entries that
 * follow back instead of leaving a tombstone, so look-ups never slow down. */
#include "base/map.h"

#include "base/own.h"

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

static bool holds(const struct map_entry *e, struct str key, uint64_t hash)
{
    return e->hash == hash && str_eq((struct str){ e->key, e->key_len }, key);
}

/* The slot that holds the key, or the empty one where it belongs. */
static struct map_entry *probe(const struct map *m, struct str key, uint64_t hash)
{
    size_t i = hash & (m->capacity - 1);
    while (m->slots[i].key && !holds(&m->slots[i], key, hash))
        i = (i + 1) & (m->capacity - 1);
    return &m->slots[i];
}

void *map_get(const struct map *m, struct str key)
{
    return m->capacity ? probe(m, key, str_hash(key))->value : NULL;
}

static void grow(struct map *m)
{
    struct map old = *m;
    m->capacity = old.capacity ? old.capacity * 2 : 16;
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
    if (m->count + 1 > m->capacity / 4 * 3)
        grow(m);
    uint64_t hash = str_hash(key);
    struct map_entry *e = probe(m, key, hash);
    void *old = e->value;
    if (!e->key) {
        *e = (struct map_entry){ str_dup(key), key.len, hash, NULL };
        m->count++;
    }
    e->value = value;
    return old;
}

/* Close the gap at `hole`: every later entry of the run that may live there moves up. */
static void close_gap(struct map *m, size_t hole)
{
    size_t mask = m->capacity - 1;
    for (size_t i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
        size_t home = m->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        m->slots[hole] = m->slots[i];
        hole = i;
    }
    m->slots[hole] = (struct map_entry){ 0 };
}

void *map_remove(struct map *m, struct str key)
{
    if (!m->capacity)
        return NULL;
    struct map_entry *e = probe(m, key, str_hash(key));
    if (!e->key)
        return NULL;
    void *value = e->value;
    free(e->key);
    close_gap(m, (size_t)(e - m->slots));
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
