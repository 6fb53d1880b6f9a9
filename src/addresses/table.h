/* addresses/table.h - which key has which address
 *
 * A key without a collision is remembered in memory only, because its hash returns the same
 * address.  Keys that have met another one at their address are `kept`: the state file has
 * them.  No I/O.  Private to addresses/.
 */
#pragma once

#include "base/list.h"
#include "base/str.h"

#define KEY_TEXT_MAX 1024
#define ENTRIES_MAX 65536
#define KEPT_MAX 4096
#define KEY_PARTS 4

struct opened;

/* The parts of a key, with the context's name in place of the cluster's label. */
struct key_parts {
    struct str context, ns, service, pod;
};

/* Small: there may be tens of thousands.  The text has the parts, each followed by a zero byte. */
struct address_entry {
    struct list_node recent; /* of all entries, the least recently looked up first */
    struct address_entry *next_key, *next_address; /* in the same bucket */
    struct opened *opened;                         /* its listeners; NULL: none is open */
    uint32_t hash;                                 /* of the text */
    uint32_t address;                              /* host byte order */
    unsigned pins; /* users that keep it (addresses/pin.h) */
    bool kept;
    uint16_t lens[KEY_PARTS];
    char text[];
};

struct address_table {
    uint64_t seed;
    struct address_entry **by_key,
        **by_address; /* buckets, whose number is a power of two */
    size_t buckets, count;
    struct list_node recent;
    size_t kept;
    bool changed; /* what the state file has; reset by the one that writes it */
};

/* Views into the entry. */
struct key_parts address_entry_key(const struct address_entry *e);

void address_table_init(struct address_table *t, uint64_t seed);
void address_table_finish(struct address_table *t); /* no entry is open */

/* The entry of a key, made where there is none; it becomes the most recently looked up.  If there
 * are ENTRIES_MAX, one that is not open, kept or pinned is forgotten.
 * ERR_LIMIT: the key is longer than KEY_TEXT_MAX, or every candidate address is taken. */
MUST_CHECK enum err address_table_assign(struct address_table *t,
                                         const struct key_parts *key,
                                         struct address_entry **ret);
/* NULL: there is none. */
struct address_entry *address_table_find(const struct address_table *t,
                                         const struct key_parts *key);
struct address_entry *address_table_at(const struct address_table *t, uint32_t address);
/* Of the state file.  ERR_PROTO: the address is not one that is given, or it or the key is there
 * already.  ERR_LIMIT: as address_table_assign, or KEPT_MAX. */
MUST_CHECK enum err address_table_keep(struct address_table *t,
                                       const struct key_parts *key, uint32_t address);
/* May an entry have this address? */
bool address_table_may_give(uint32_t address);
