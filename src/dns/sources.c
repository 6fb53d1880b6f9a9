#include "dns/sources.h"

#include "base/address.h"
#include "base/map.h"
#include "base/own.h"

#define SETS 256
#define WAYS 4
#define V6_NETWORK 8 /* bytes */

struct source {
    uint64_t hash;
    uint64_t seen;   /* 0: unused */
    uint64_t tokens; /* thousandths */
    bool dropped;    /* the last one above the rate */
};

struct sources {
    struct sched *sched;
    uint64_t per_second;
    struct source table[SETS][WAYS];
};

struct sources *sources_create(struct sched *sched, uint32_t per_second)
{
    struct sources *s = xcalloc(1, sizeof(*s));

    s->sched = sched;
    s->per_second = per_second;
    return s;
}

void sources_set_rate(struct sources *s, uint32_t per_second)
{
    s->per_second = per_second;
}

void sources_destroy(struct sources *s)
{
    free(s);
}

static struct source *find_source(struct sources *s, uint64_t hash)
{
    struct source *set = s->table[hash % SETS], *oldest = &set[0];

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].seen && set[i].hash == hash)
            return &set[i];
        if (set[i].seen < oldest->seen)
            oldest = &set[i];
    }
    *oldest = (struct source){ .hash = hash,
                               .seen = s->sched->now,
                               .tokens = s->per_second * 1000 };
    return oldest;
}

/* In thousandths of a token: each millisecond adds the rate, up to the tokens of one second. */
static void refill(struct sources *s, struct source *from)
{
    uint64_t most = s->per_second * 1000;
    uint64_t passed = s->sched->now - from->seen;
    uint64_t earned = (passed > 1000 ? 1000 : passed) * s->per_second;

    from->seen = s->sched->now;
    from->tokens = from->tokens + earned > most ? most : from->tokens + earned;
}

enum source_verdict sources_take(struct sources *s, const struct sockaddr *peer)
{
    if (address_is_loopback(peer))
        return SOURCE_ANSWER;
    struct sockaddr_storage plain = address_plain(peer);
    struct str network = address_bytes((const struct sockaddr *)&plain);
    if (network.len > V6_NETWORK)
        network = str_first(network, V6_NETWORK);
    struct source *from = find_source(s, map_hash(network));
    refill(s, from);
    if (from->tokens >= 1000) {
        from->tokens -= 1000;
        return SOURCE_ANSWER;
    }
    from->dropped = !from->dropped;
    return from->dropped ? SOURCE_DROP : SOURCE_TRUNCATE;
}
