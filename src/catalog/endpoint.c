/* catalog/endpoint.c - endpoints and services: how they are stored and shared */
#include "catalog/endpoint.h"

#include <stdio.h>

#include "base/own.h"
#include "catalog/container_ports.h"
#include "catalog/pack.h"

/* --- endpoints --- */

struct endpoint *endpoint_ref(const struct endpoint *e)
{
    struct endpoint *shared = (struct endpoint *)(uintptr_t)e;

    shared->refs++;
    return shared;
}

void endpoint_unref(struct endpoint *e)
{
    if (!e || --e->refs)
        return;
    container_ports_unref(e->ports);
    free(e);
}

static void put_part(char **at, const char *text, char end)
{
    size_t len = strlen(text);

    memcpy(*at, text, len);
    (*at)[len] = end;
    *at += len + 1;
}

/* Names are longer than API servers allow: cut off, so that none is mistaken for another. */
static bool fits(const char *ns, const char *pod, const char *uid)
{
    return strlen(ns) + strlen(pod) + strlen(uid) + 3 <= ENDPOINT_KEY_ROOM;
}

struct str endpoint_key(const char *ns, const char *pod, const char *uid,
                        char room[static ENDPOINT_KEY_ROOM])
{
    char *at = room;

    if (!fits(ns, pod, uid)) {
        snprintf(room, ENDPOINT_KEY_ROOM, "%s/%s/%s", ns, pod, uid);
        return (struct str){ room, strlen(room) };
    }
    put_part(&at, ns, '/');
    put_part(&at, pod, '/');
    put_part(&at, uid, '\0');
    return (struct str){ room, (size_t)(at - room) - 1 };
}

uint32_t endpoint_rank(struct str key)
{
    return (uint32_t)map_hash(key);
}

struct endpoint *endpoint_pack(const struct endpoint *from)
{
    char room[ENDPOINT_KEY_ROOM];
    const char *key =
        from->key ? from->key : endpoint_key(from->ns, from->pod, from->uid, room).at;
    size_t size = pack_room(key) + pack_room(from->ns) + pack_room(from->pod) +
                  pack_room(from->uid) + pack_room(from->ip) + pack_room(from->node) +
                  pack_room(from->hostname);
    struct endpoint *e = xmalloc(sizeof(*e) + size);
    char *at = (char *)(e + 1);

    *e = *from;
    e->refs = 1;
    e->key = pack_text(&at, key);
    e->ns = pack_text(&at, from->ns);
    e->pod = pack_text(&at, from->pod);
    e->uid = pack_text(&at, from->uid);
    e->ip = pack_text(&at, from->ip);
    e->node = pack_text(&at, from->node);
    e->hostname = pack_text(&at, from->hostname);
    e->hash = map_hash(str_of(e->key));
    e->rank = from->key ? from->rank : endpoint_rank(str_of(e->key));
    return e;
}

int endpoint_preference(const struct endpoint *e)
{
    return e->terminating ? 2 : e->ready ? 0 : 1;
}

int endpoint_order(const struct endpoint *a, const struct endpoint *b)
{
    int differ = endpoint_preference(a) - endpoint_preference(b);

    if (!differ)
        differ = (a->rank > b->rank) - (a->rank < b->rank);
    return differ ? differ : strcmp(a->key, b->key);
}

/* --- services --- */

struct service *service_ref(const struct service *s)
{
    struct service *shared = (struct service *)(uintptr_t)s;

    shared->refs++;
    return shared;
}

void service_unref(struct service *s)
{
    if (!s || --s->refs)
        return;
    for (size_t i = 0; i < s->endpoint_count; i++)
        endpoint_unref(s->endpoints[i]);
    free(s->endpoints);
    free(s->pods_note);
    spec_unref(s->spec);
    free(s);
}

struct service *service_create(const struct service_spec *spec)
{
    struct service *s = xcalloc(1, sizeof(*s));

    *s = (struct service){
        .refs = 1,
        .kind = spec->kind,
        .ns = spec->ns,
        .name = spec->name,
        .external_name = spec->external_name,
        .has_selector = spec->selector != NULL,
        .headless = spec->headless,
        .sticky = spec->sticky,
        .ports = spec->ports,
        .port_count = spec->port_count,
        .ports_left_out = spec->left_out,
        .spec = spec_ref(spec),
    };
    return s;
}

void service_add_endpoint(struct service *s, struct endpoint *e)
{
    if ((s->endpoint_count & (s->endpoint_count - 1)) == 0) {
        size_t room = s->endpoint_count ? s->endpoint_count * 2 : 1;
        s->endpoints = xrealloc(s->endpoints, room * sizeof(struct endpoint *));
    }
    s->endpoints[s->endpoint_count++] = e;
}

uint16_t endpoint_port(const struct service *s, const struct endpoint *e, size_t index)
{
    return index < s->port_count && e->ports ? e->ports[index] : 0;
}

/* --- the index: open addressing, at most half full --- */

void endpoint_index_finish(struct endpoint_index *x)
{
    free(x->slots);
    *x = (struct endpoint_index){ 0 };
}

/* The slot of the key, or the empty one where it belongs. */
static uint32_t *slot_of(const struct endpoint_index *x,
                         struct endpoint *const *endpoints, struct str key, uint32_t rank)
{
    size_t mask = x->capacity - 1;

    for (size_t i = rank & mask;; i = (i + 1) & mask) {
        const struct endpoint *e = x->slots[i] ? endpoints[x->slots[i] - 1] : NULL;
        if (!e || (e->rank == rank && str_eq(str_of(e->key), key)))
            return &x->slots[i];
    }
}

static uint32_t *slot_for(const struct endpoint_index *x,
                          struct endpoint *const *endpoints, size_t place)
{
    const struct endpoint *e = endpoints[place];
    return slot_of(x, endpoints, str_of(e->key), e->rank);
}

size_t endpoint_index_find(const struct endpoint_index *x,
                           struct endpoint *const *endpoints, struct str key,
                           uint32_t rank)
{
    uint32_t slot = x->count ? *slot_of(x, endpoints, key, rank) : 0;
    return slot ? slot - 1 : SIZE_MAX;
}

static void grow(struct endpoint_index *x, struct endpoint *const *endpoints)
{
    struct endpoint_index old = *x;

    x->capacity = old.capacity ? old.capacity * 4 : 16;
    x->slots = xcalloc(x->capacity, sizeof(*x->slots));
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i])
            *slot_for(x, endpoints, old.slots[i] - 1) = old.slots[i];
    free(old.slots);
}

void endpoint_index_add(struct endpoint_index *x, struct endpoint *const *endpoints,
                        size_t place)
{
    if (2 * (x->count + 1) > x->capacity)
        grow(x, endpoints);
    *slot_for(x, endpoints, place) = (uint32_t)place + 1;
    x->count++;
}
