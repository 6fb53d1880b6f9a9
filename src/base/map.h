/* base/map.h - string to pointer, hashed
 *
 * The map owns copies of its keys, never its values.  Iteration order is unspecified; an
 * iteration may remove the entry it stands on, and no other.
 */
#pragma once

#include "base/str.h"

struct map_entry {
    char *key; /* NULL: empty slot */
    size_t key_len;
    uint64_t hash;
    void *value;
};

struct map {
    struct map_entry *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
    size_t used; /* private: slots that hold an entry or did */
};

/* Call it once, before any map has an entry: keys are names in the cluster, which an attacker
 * may choose so that they collide, so they are hashed with a random seed.  Without it, as in
 * tests, runs are reproducible. */
void map_choose_seed(void);

uint64_t map_hash(struct str key); /* as maps hash it */

void map_init(struct map *m);
void map_finish(struct map *m);

void *map_get(const struct map *m, struct str key); /* NULL: not there */
/* The same for a key whose map_hash is known. */
void *map_get_hashed(const struct map *m, struct str key, uint64_t hash);
/* Returns the value that was there before, or NULL. `value` must not be NULL. */
void *map_set(struct map *m, struct str key, void *value);
void *map_remove(struct map *m, struct str key);

/* for (size_t at = 0; (e = map_next(m, &at)); ) */
struct map_entry *map_next(const struct map *m, size_t *at);
