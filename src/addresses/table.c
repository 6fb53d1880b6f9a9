/* addresses/table.c - which key has which address */
#include "addresses/table.h"

#include "base/map.h"
#include "base/own.h"

#define TRIES 64 /* candidates of one key; with ENTRIES_MAX all are taken once in 2^500 */

/* 127.1.0.1 to 127.254.255.254 without the .0 and .255 of each network of 256. */
#define FIRST_NETWORK 0x7f010000u
#define NETWORKS (254u * 256u)
#define HOSTS 254u

#define FIRST_BUCKETS 256

void address_table_init(struct address_table *t, uint64_t seed)
{
    *t = (struct address_table){ .seed = seed };
    list_init(&t->recent);
}

void address_table_finish(struct address_table *t)
{
    list_for_each (e, &t->recent, struct address_entry, recent) {
        list_remove(&e->recent);
        free(e);
    }
    free(t->by_key);
    free(t->by_address);
}

bool address_table_may_give(uint32_t address)
{
    uint32_t host = address & 0xff;

    return address >= FIRST_NETWORK && (address - FIRST_NETWORK) >> 8 < NETWORKS &&
           host != 0 && host != 0xff;
}

/* Where the key belongs, and where it goes if that address is taken, and so on. */
static uint32_t candidate(const struct address_table *t, struct str text,
                          unsigned attempt)
{
    uint64_t hash = str_hash_seeded(text, t->seed + attempt);
    uint32_t n = (uint32_t)(hash % ((uint64_t)NETWORKS * HOSTS));

    return FIRST_NETWORK + (n / HOSTS << 8) + n % HOSTS + 1;
}

/* ---- entries ---- */

/* The parts, each followed by a zero byte: a part that is read from C strings has none. */
static enum err write_key(const struct key_parts *key, char room[static KEY_TEXT_MAX],
                          struct str *ret)
{
    const struct str parts[] = { key->context, key->ns, key->service, key->pod };
    size_t len = 0;

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct str part = parts[i].len ? parts[i] : STR("");
        if (part.len >= KEY_TEXT_MAX - len || memchr(part.at, 0, part.len))
            return ERR_LIMIT;
        len = str_append(room, KEY_TEXT_MAX, len, part);
        room[len++] = '\0';
    }
    *ret = (struct str){ room, len };
    return OK;
}

struct key_parts address_entry_key(const struct address_entry *e)
{
    struct str parts[KEY_PARTS];
    const char *at = e->text;

    for (size_t i = 0; i < KEY_PARTS; i++) {
        parts[i] = (struct str){ at, e->lens[i] };
        at += e->lens[i] + 1;
    }
    return (struct key_parts){ parts[0], parts[1], parts[2], parts[3] };
}

static struct str text_of_entry(const struct address_entry *e)
{
    size_t len = KEY_PARTS;

    for (size_t i = 0; i < KEY_PARTS; i++)
        len += e->lens[i];
    return (struct str){ e->text, len };
}

/* ---- buckets ---- */

static struct address_entry **key_bucket(const struct address_table *t, uint32_t hash)
{
    return &t->by_key[hash & (t->buckets - 1)];
}

static struct address_entry **address_bucket(const struct address_table *t,
                                             uint32_t address)
{
    return &t->by_address[(address * 0x9e3779b1u >> 8) & (t->buckets - 1)];
}

static void link_entry(struct address_table *t, struct address_entry *e)
{
    struct address_entry **key = key_bucket(t, e->hash);
    struct address_entry **address = address_bucket(t, e->address);

    e->next_key = *key;
    *key = e;
    e->next_address = *address;
    *address = e;
}

static void unlink_entry(struct address_table *t, const struct address_entry *e)
{
    struct address_entry **at = key_bucket(t, e->hash);

    while (*at != e)
        at = &(*at)->next_key;
    *at = e->next_key;
    at = address_bucket(t, e->address);
    while (*at != e)
        at = &(*at)->next_address;
    *at = e->next_address;
}

static void grow(struct address_table *t)
{
    if (t->count < t->buckets)
        return;
    t->buckets = t->buckets ? t->buckets * 2 : FIRST_BUCKETS;
    free(t->by_key);
    free(t->by_address);
    t->by_key = xcalloc(t->buckets, sizeof(*t->by_key));
    t->by_address = xcalloc(t->buckets, sizeof(*t->by_address));
    list_for_each (e, &t->recent, struct address_entry, recent)
        link_entry(t, e);
}

static struct address_entry *find_text(const struct address_table *t, struct str text)
{
    uint32_t hash = (uint32_t)map_hash(text);

    if (!t->buckets)
        return NULL;
    for (struct address_entry *e = *key_bucket(t, hash); e; e = e->next_key)
        if (e->hash == hash && str_eq(text_of_entry(e), text))
            return e;
    return NULL;
}

static struct address_entry *add_entry(struct address_table *t, struct str text,
                                       uint32_t address)
{
    struct address_entry *e = xcalloc(1, sizeof(*e) + text.len);
    const char *at = e->text;

    memcpy(e->text, text.at, text.len);
    for (size_t i = 0; i < KEY_PARTS; i++) {
        e->lens[i] = (uint16_t)strlen(at);
        at += e->lens[i] + 1;
    }
    e->hash = (uint32_t)map_hash(text);
    e->address = address;
    grow(t);
    link_entry(t, e);
    list_append(&t->recent, &e->recent);
    t->count++;
    return e;
}

static void forget(struct address_table *t, struct address_entry *e)
{
    unlink_entry(t, e);
    list_remove(&e->recent);
    t->count--;
    free(e);
}

static void make_room(struct address_table *t)
{
    if (t->count < ENTRIES_MAX)
        return;
    list_for_each (e, &t->recent, struct address_entry, recent) {
        if (e->kept || e->opened || e->pins)
            continue;
        forget(t, e);
        return;
    }
}

static void keep(struct address_table *t, struct address_entry *e)
{
    if (e->kept || t->kept >= KEPT_MAX)
        return;
    e->kept = true;
    t->kept++;
    t->changed = true;
}

/* Both keys of a collision are kept: at the next start the other one may come first. */
static enum err place(struct address_table *t, struct str text,
                      struct address_entry **ret)
{
    struct address_entry *holder = NULL;

    for (unsigned i = 0; i < TRIES; i++) {
        uint32_t address = candidate(t, text, i);
        struct address_entry *there = address_table_at(t, address);
        if (there) {
            holder = there;
            keep(t, there);
            continue;
        }
        *ret = add_entry(t, text, address);
        if (holder)
            keep(t, *ret);
        return OK;
    }
    return ERR_LIMIT;
}

enum err address_table_assign(struct address_table *t, const struct key_parts *key,
                              struct address_entry **ret)
{
    char room[KEY_TEXT_MAX];
    struct str text;
    enum err e = write_key(key, room, &text);

    if (e)
        return e;
    *ret = find_text(t, text);
    if (!*ret) {
        make_room(t);
        return place(t, text, ret);
    }
    list_remove(&(*ret)->recent);
    list_append(&t->recent, &(*ret)->recent);
    return OK;
}

struct address_entry *address_table_find(const struct address_table *t,
                                         const struct key_parts *key)
{
    char room[KEY_TEXT_MAX];
    struct str text;

    return write_key(key, room, &text) ? NULL : find_text(t, text);
}

struct address_entry *address_table_at(const struct address_table *t, uint32_t address)
{
    struct address_entry *e = t->buckets ? *address_bucket(t, address) : NULL;

    while (e && e->address != address)
        e = e->next_address;
    return e;
}

enum err address_table_keep(struct address_table *t, const struct key_parts *key,
                            uint32_t address)
{
    char room[KEY_TEXT_MAX];
    struct str text;
    enum err e = write_key(key, room, &text);

    if (e)
        return e;
    if (!address_table_may_give(address) || address_table_at(t, address) ||
        find_text(t, text))
        return ERR_PROTO;
    if (t->kept >= KEPT_MAX)
        return ERR_LIMIT;
    keep(t, add_entry(t, text, address));
    t->changed = false;
    return OK;
}
