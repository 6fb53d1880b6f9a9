/* tunnel/share.h - per-pair flow control on a shared tunnel
 *
 * Private to tunnel/.  On an own tunnel TCP limits the pair in both directions.  On a shared
 * tunnel TCP would stop all pairs because of one (head-of-line blocking), so each pair has
 * limits of its own:
 *
 *   towards the pod   a pair sends only as many frames ahead of its worker as credit.h
 *                     allows: if a container does not read, only its own client is stopped
 *   towards a client  while another pair may be waiting for bytes, a slow reader's bytes are
 *                     buffered, up to 1 MiB each and 16 MiB in all.  When that is full the
 *                     transport is not read, for 200 ms in any second at most.  If the pair is
 *                     full after that and its client takes less than 1 MB/s, this pair fails.
 *                     It fails up to 3 s later, once a minute, if the pairs that wait have
 *                     received nothing yet or are large themselves.  If no other pair waits,
 *                     reading stops without a limit
 *
 * Small requests share a tunnel well: their frames travel in one TLS record, and every proxy on
 * the path wakes up once for all of them.  Large transfers do not, and their size is not known
 * beforehand.  So a tunnel with a large pair is saturated and gets no new pairs; when the
 * others end, the large pair is alone, and TCP limits it as on an own tunnel.
 *
 * Works on the list of pairs of its mux; wakes the mux's tasks.
 */
#pragma once

#include "base/log.h"
#include "tunnel/credit.h"
#include "tunnel/pair.h"
#include "tunnel/pings.h"

#define SHARE_PAIR_LIMIT (1024 * 1024)
#define SHARE_ALL_LIMIT (16 * 1024 * 1024)
#define SHARE_BEGIN_FRAMES                                                               \
    4 /* frames that the only pair may have sent without credit when
                                others join it */
#define SHARE_STALL_MS 200
#define SHARE_STALL_WINDOW_MS 1000
#define SHARE_LONG_STALL_MS 3000   /* in all, if no waiting pair is urgent ... */
#define SHARE_LONG_WINDOW_MS 60000 /* ... in this time */
#define SHARE_RECHECK_MS 20 /* between checks of a pair that is full, but not slow */
#define SHARE_SLOW_BYTES_PER_MS 1024 /* a pair that takes 1 MB/s is not slow */

/* What a share borrows from its mux. */
struct share_of {
    struct list_node *pairs;
    struct task *read, *flush;
    const size_t *kept_for_slow; /* bytes, of all shared tunnels */
    struct log_id id;            /* for the log, like `pod` */
    const char *pod;
};

struct share {
    struct share_of of;
    struct credit credit;
    struct timer stall;
    bool blocked;        /* the next received bytes have no room in their pair */
    uint32_t stalled_id; /* data id of that pair, if others wait; 0: none */
    uint64_t stalled_at; /* sched ms: since when */
    uint64_t window_at;  /* sched ms: start of the second in which stalls are added up */
    uint64_t stalled_ms; /* the sum of its stalls so far */
    uint64_t long_at;    /* sched ms: start of the minute for longer stalls */
    uint64_t long_ms;    /* the sum of its longer stalls so far */
};

struct share *share_create(const struct share_of *of);
void share_destroy(struct share *s); /* NULL accepted */

/* All of these accept NULL (an own tunnel), and then do nothing or return what imposes no
 * limit. */
bool share_may_send(const struct share *s, const struct pair *p);
/* Send PINGs if credit needs them; called at the start and at the end of each turn. */
void share_send_pings(struct share *s, struct pings *pings);
void share_on_sent(struct share *s, struct pair *p, size_t n);
void share_on_pong(struct share *s);
void share_on_answer(struct share *s, const struct pair *p);
bool share_has_stuck_worker(const struct share *s); /* see credit_has_stuck_worker */
/* Is a large pair in use?  Then no other pair may join. */
bool share_is_saturated(const struct share *s);
/* May another pair join?  Not while the tunnel is blocked or saturated, or its pair proves a
 * port. */
bool share_may_join(const struct share *s);

/* Set how many bytes the pair may buffer; call before bytes are moved into it. */
void share_set_limit(const struct share *s, struct pair *p);
/* The next received bytes have no room in this pair; they have room again. */
void share_on_blocked(struct share *s, struct pair *p);
void share_on_unblocked(struct share *s);

/* May an own tunnel with these pairs become a shared one?  Only if the pair in use has carried
 * little, and has sent few frames since the pod last sent a byte. */
bool share_may_begin(const struct list_node *pairs);
