/* addresses/table.c - which key has which address */
#include "addresses/table.h"

#include "base/own.h"

#define TRIES 64 /* candidates of one key; with ENTRIES_MAX all are taken once in 2^500 */

/* 127.1.0.1 to 127.254.255.254 without the .0 and .255 of each network of 256. */
#define FIRST_NETWORK 0x7f010000u
#define NETWORKS (254u * 256u)
#define HOSTS 254u

void address_table_init(struct address_table *t, uint64_t seed)
{
    *t = (struct address_table){ .seed = seed };
    map_init(&t->by_key);
    map_init(&t->by_address);
    list_init(&t->recent);
}

void address_table_finish(struct address_table *t)
{
    list_for_each (e, &t->recent, struct address_entry, recent) {
        list_remove(&e->recent);
        free(e);
    }
    map_finish(&t->by_key);
    map_finish(&t->by_address);
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
        if (parts[i].len >= KEY_TEXT_MAX - len || memchr(parts[i].at, 0, parts[i].len))
            return ERR_LIMIT;
        len = str_append(room, KEY_TEXT_MAX, len, parts[i]);
        room[len++] = '\0';
    }
    *ret = (struct str){ room, len };
    return OK;
}

static struct str take_part(const char **at)
{
    struct str part = str_of(*at);

    *at += part.len + 1;
    return part;
}

static struct str address_key_of(const uint32_t *address)
{
    return (struct str){ (const char *)address, sizeof(*address) };
}

static struct address_entry *add_entry(struct address_table *t, struct str text,
                                       uint32_t address)
{
    struct address_entry *e = xcalloc(1, sizeof(*e) + text.len);
    const char *at = e->text;

    memcpy(e->text, text.at, text.len);
    e->text_len = text.len;
    e->key.context = take_part(&at);
    e->key.ns = take_part(&at);
    e->key.service = take_part(&at);
    e->key.pod = take_part(&at);
    e->address = address;
    list_append(&t->recent, &e->recent);
    map_set(&t->by_key, text, e);
    map_set(&t->by_address, address_key_of(&address), e);
    return e;
}

static void forget(struct address_table *t, struct address_entry *e)
{
    list_remove(&e->recent);
    map_remove(&t->by_key, (struct str){ e->text, e->text_len });
    map_remove(&t->by_address, address_key_of(&e->address));
    free(e);
}

static void make_room(struct address_table *t)
{
    if (t->by_key.count < ENTRIES_MAX)
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
    *ret = map_get(&t->by_key, text);
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

    return write_key(key, room, &text) ? NULL : map_get(&t->by_key, text);
}

struct address_entry *address_table_at(const struct address_table *t, uint32_t address)
{
    return map_get(&t->by_address, address_key_of(&address));
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
        map_get(&t->by_key, text))
        return ERR_PROTO;
    if (t->kept >= KEPT_MAX)
        return ERR_LIMIT;
    keep(t, add_entry(t, text, address));
    t->changed = false;
    return OK;
}
