/* Open addressing with linear probing, as in map.c: a removed element leaves a dead slot, which
 * counts towards the load of 3/4 at which the table is rebuilt. */
#include "base/set.h"

#include <assert.h>

#include "base/map.h"
#include "base/own.h"

#define FIRST_CAPACITY 16
#define DEAD 1 /* the hash of a slot whose element was removed */

void set_init(struct set *s, struct str (*key)(const void *element))
{
    *s = (struct set){ .key = key };
}

void set_finish(struct set *s)
{
    free(s->slots);
    set_init(s, s->key);
}

static uint32_t hash_of(struct str key)
{
    return (uint32_t)map_hash(key);
}

static bool is_free(const struct set *s, size_t i)
{
    return !s->slots[i] && s->hashes[i] != DEAD;
}

/* The slot of the key; s->capacity: there is none. */
static size_t find_slot(const struct set *s, struct str key, uint32_t hash)
{
    size_t mask = s->capacity - 1;

    if (!s->capacity)
        return s->capacity;
    for (size_t i = hash & mask; !is_free(s, i); i = (i + 1) & mask)
        if (s->slots[i] && s->hashes[i] == hash && str_eq(s->key(s->slots[i]), key))
            return i;
    return s->capacity;
}

static void put(struct set *s, void *element, uint32_t hash)
{
    size_t mask = s->capacity - 1, i = hash & mask;

    while (s->slots[i])
        i = (i + 1) & mask;
    s->used += s->hashes[i] != DEAD;
    s->slots[i] = element;
    s->hashes[i] = hash;
}

static void rebuild(struct set *s)
{
    struct set old = *s;
    bool crowded = s->count + 1 > s->capacity / 2;

    s->capacity = !old.capacity ? FIRST_CAPACITY
                  : crowded     ? old.capacity * 2
                                : old.capacity;
    s->slots = xcalloc(s->capacity, sizeof(*s->slots) + sizeof(*s->hashes));
    s->hashes = (uint32_t *)(s->slots + s->capacity);
    s->used = 0;
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i])
            put(s, old.slots[i], old.hashes[i]);
    free(old.slots);
}

void *set_get(const struct set *s, struct str key)
{
    size_t i = find_slot(s, key, hash_of(key));

    return i < s->capacity ? s->slots[i] : NULL;
}

void set_add(struct set *s, void *element)
{
    struct str key = s->key(element);
    uint32_t hash = hash_of(key);

    assert(find_slot(s, key, hash) == s->capacity);
    if (s->used + 1 > s->capacity / 4 * 3)
        rebuild(s);
    put(s, element, hash);
    s->count++;
}

void *set_remove(struct set *s, struct str key)
{
    size_t i = find_slot(s, key, hash_of(key));

    if (i == s->capacity)
        return NULL;
    void *element = s->slots[i];
    s->slots[i] = NULL;
    s->hashes[i] = DEAD;
    s->count--;
    return element;
}

void *set_next(const struct set *s, size_t *at)
{
    while (*at < s->capacity)
        if (s->slots[(*at)++])
            return s->slots[*at - 1];
    return NULL;
}
