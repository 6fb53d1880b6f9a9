/* tunnel/share.h - per-pair flow control on a shared tunnel
 *
 * Private to tunnel/.  A connection that has its tunnel to itself is slowed down by TCP in
 * both directions.  On a shared tunnel TCP would stop all connections for the sake of one
 * (head-of-line blocking), so each is limited by itself:
 *
 *   towards the pod   a pair sends only as far ahead of its worker as credit.h allows, so
 *                     that a container that does not read stops its own client
 *   towards a client  while another pair may be waiting for bytes, a slow reader's bytes are
 *                     kept, up to 1 MiB each and 16 MiB in all; then the tunnel stops
 *                     reading, 200 ms in any second at most; a pair that is still full after
 *                     that, and takes less than 1 MB/s, fails, alone; up to 3 s later, once
 *                     a minute, where the waiting pairs have no answer yet or are large
 *                     themselves.  Where all are slow, waiting hurts none of them
 *
 * Small requests share well: what comes together travels in one record, and every relay on
 * the way wakes up once for all of it.  Large ones do not, and a request's size is not known
 * beforehand.  So a pair that has carried much (saturated) gets no new neighbours; when those
 * it has end it is alone, and TCP limits it as on a tunnel of its own.
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
#define SHARE_BEGIN_FRAMES 4 /* uncounted, of the only pair when others join it */
#define SHARE_STALL_MS 200
#define SHARE_STALL_WINDOW_MS 1000
#define SHARE_LONG_STALL_MS 3000     /* in all, where no waiting pair is urgent ... */
#define SHARE_LONG_WINDOW_MS 60000   /* ... in a minute */
#define SHARE_LOOK_MS 20             /* between looks at one that is full, but not slow */
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
    bool blocked;        /* the next bytes have no room where they belong */
    uint32_t stalled_id; /* the pair that the tunnel waits for; 0: none */
    uint64_t stalled_at;
    uint64_t window_at;  /* the second in which stalls are added up */
    uint64_t stalled_ms; /* ... so far */
    uint64_t long_at;    /* likewise the minute of the stalls that took longer */
    uint64_t long_ms;
};

struct share *share_create(const struct share_of *of);
void share_destroy(struct share *s); /* NULL accepted */

/* All of these accept NULL (a tunnel that is not shared), and then do nothing or allow. */
bool share_may_send(const struct share *s, const struct pair *p);
void share_ask(struct share *s, struct pings *pings); /* in each turn, first and last */
void share_on_sent(struct share *s, struct pair *p, size_t n);
void share_on_pong(struct share *s);
void share_on_answer(struct share *s, const struct pair *p);
bool share_is_blind(const struct share *s); /* see credit_is_blind */
/* A pair carries much: no other joins it. */
bool share_is_saturated(const struct share *s);
/* A pair that joined would neither wait nor be waited for. */
bool share_welcomes(const struct share *s);

/* Before bytes are moved into the pair: how much it may hold. */
void share_set_limit(const struct share *s, struct pair *p);
/* The pair is full and its bytes are next; or the tunnel moves on. */
void share_on_full(struct share *s, struct pair *p);
void share_on_moving(struct share *s);

/* May a tunnel with these pairs, which is not shared, be shared from now on?  While its only
 * connection sends and was sent little. */
bool share_may_begin(const struct list_node *pairs);
