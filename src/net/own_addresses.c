#include "net/own_addresses.h"

#include <ifaddrs.h>
#include <net/if.h>

#include "base/address.h"
#include "base/map.h"
#include "base/own.h"

#define FRESH_MS 10000
#define ADDRESSES_MAX 4096

struct own_addresses {
    struct sched *sched;
    struct map known; /* keys: the addresses as text; values are not used */
    uint64_t read_at; /* sched ms; 0: never */
};

struct own_addresses *own_addresses_create(struct sched *sched)
{
    struct own_addresses *o = xcalloc(1, sizeof(*o));

    o->sched = sched;
    map_init(&o->known);
    return o;
}

void own_addresses_destroy(struct own_addresses *o)
{
    if (!o)
        return;
    map_finish(&o->known);
    free(o);
}

static void add_address(struct own_addresses *o, const struct sockaddr *sa)
{
    char text[INET6_ADDRSTRLEN];

    if (sa && address_ip_text(sa, text) && o->known.count < ADDRESSES_MAX)
        map_set(&o->known, str_of(text), o);
}

/* If they cannot be read, the known ones are kept. */
static void read_addresses(struct own_addresses *o)
{
    struct ifaddrs *all = NULL;

    o->read_at = o->sched->now;
    if (getifaddrs(&all))
        return;
    map_finish(&o->known);
    for (const struct ifaddrs *a = all; a; a = a->ifa_next)
        add_address(o, a->ifa_addr);
    freeifaddrs(all);
}

bool own_addresses_include(struct own_addresses *o, const char *ip)
{
    if (!o->read_at || o->sched->now - o->read_at >= FRESH_MS)
        read_addresses(o);
    return map_get(&o->known, str_of(ip)) != NULL;
}
