/* serve/pressure.h - which client gives way when descriptors, memory or tunnels run short
 *
 * Each session and raw connection has a holder, which is in one of these lists or in none:
 *
 *     idle      between two requests; the least recently used first
 *     head      a part of a request's head has come; by size, then by age
 *     unread    its client takes no more of the response; the longest without progress first
 *     waiting   other bytes of it wait, 2 KiB or more; likewise
 *
 * For a descriptor an idle connection gives way, then one whose response is not read; for a
 * tunnel to a pod that has as many as it may, one of that pod whose response is not read.
 * The memory of all bytes that wait has one limit, `buffer-memory` (the chunk pool counts
 * it): unfinished heads may take three quarters of it, past which the largest gives way;
 * past the limit the largest heads and the connections without progress do, and new
 * requests are refused.  Each list is also kept per account (the user of a local client,
 * else the address): one that holds more than half of the limit gives way first.
 *
 * Changing lists costs a few instructions, and finding what gives way does not depend on how
 * many connections there are, but for tunnels.  Private to serve/.
 */
#pragma once

#include "base/bufq.h"
#include "base/list.h"
#include "base/map.h"
#include "base/sched.h"

#define PRESSURE_IDLE_MS 500 /* a busy client is between two requests for microseconds */
#define PRESSURE_STALL_MS 1000 /* without progress: slow, not busy */
#define PRESSURE_HEAD_SIZES 9  /* up to 1 KiB, 2 KiB, ... 256 KiB */
#define PRESSURE_WAITING_MIN 2048

enum holding {
    HOLDING_NOTHING,
    HOLDING_IDLE,
    HOLDING_HEAD,
    HOLDING_UNREAD,
    HOLDING_WAITING,
};

enum pressure_event {
    EVENT_IDLE,
    EVENT_HEAD,
    EVENT_UNREAD,
    EVENT_WAITING,
    EVENT_CLIENT,
    EVENT_REQUEST
};
#define PRESSURE_EVENTS 6

/* The holders of all accounts, or of one account, in their lists. */
struct holders {
    struct list_node heads[PRESSURE_HEAD_SIZES];
    struct list_node unread, waiting;
    size_t bytes;      /* of all of them */
    size_t head_bytes; /* of unfinished heads */
};

struct account {
    char *key;
    size_t sessions;
    struct holders holders;
};

struct pressure {
    struct sched *sched;
    struct chunk_pool *pool;
    struct list_node idle;
    struct holders all;
    struct map accounts;
    struct account *largest; /* it holds more than half of the limit; NULL: none does */
    struct task relieve;     /* wakes when the pool's limit is passed */
    struct timer again;
    uint64_t seen[PRESSURE_EVENTS]; /* the last of each kind; 0: none */
};

struct holder {
    struct pressure *pressure; /* borrowed */
    struct list_node in_all, in_account;
    enum holding what;
    unsigned size; /* of a head: which list */
    size_t bytes;
    uint64_t since;          /* when it came into its list, or last made progress */
    uint64_t progress;       /* its value at `since` */
    const char *client;      /* its account; borrowed */
    struct account *account; /* NULL: it has held nothing yet */
    /* Release what it holds, and perhaps the holder itself.  False: an idle one was not
     * idle after all. */
    bool (*give_way)(struct holder *h, enum holding what);
};

void pressure_init(struct pressure *p, struct sched *sched, struct chunk_pool *pool);
void pressure_finish(struct pressure *p); /* no holder holds anything any more */

void holder_init(struct holder *h, struct pressure *p, const char *client,
                 bool (*give_way)(struct holder *h, enum holding what));
void holder_finish(struct holder *h);
void holder_none(struct holder *h);
void holder_idle(struct holder *h); /* from now on */
/* `len` bytes of a head, in so much memory. */
void holder_head(struct holder *h, size_t len, size_t memory);
/* So many bytes wait.  `progress` is any number that changes when some of them have left;
 * `unread`: the client takes no more. */
void holder_wait(struct holder *h, bool unread, size_t bytes, uint64_t progress);

/* Make one connection give way, at once, for its descriptor.  False: there is none. */
bool pressure_free_descriptor(struct pressure *p);
/* The same for its tunnel: of those whose response is not read and for which `uses` returns
 * true.  Looks at each that has stalled, once per opening that waits. */
bool pressure_free_tunnel(struct pressure *p,
                          bool (*uses)(const struct holder *h, const char *pod_key),
                          const char *pod_key);
/* The limit is passed, and nothing is left that could give way. */
bool pressure_refuses(const struct pressure *p);
/* Log it, once per episode, and count it. */
void pressure_note(struct pressure *p, enum pressure_event event);
