/* tunnel/share.h - what several connections on one tunnel owe each other
 *
 * Private to tunnel/.  A connection that has its tunnel to itself is braked by TCP in both
 * directions.  On a shared one nobody may stop for the sake of one:
 *
 *   towards the pod   a connection sends only as far ahead of its worker as credit.h
 *                     allows, so that a container that does not read stops its own client
 *   towards a client  while somebody else may wait for bytes, a slow reader's bytes are
 *                     kept, up to 1 MiB each and 16 MiB in all; then the tunnel stops
 *                     reading, 200 ms in any second at most; who is still full after that,
 *                     and takes less than 1 MB/s, is failed, alone; up to 3 s later,
 *                     once a minute, where those that wait have no answer yet or are
 *                     large themselves.  Where all are slow, waiting hurts none of them
 *
 * Small requests share well: what comes together travels in one record, and every relay
 * on the way wakes up once for all of it.  Large ones do not, and nobody knows beforehand
 * which they are.  So who has carried much gets no new neighbours, and as those he has
 * come to their ends he is alone and braked by TCP, as on a tunnel of his own.
 */
#pragma once

#include "tunnel/credit.h"
#include "tunnel/pair.h"

#define SHARE_PAIR_LIMIT (1024 * 1024)
#define SHARE_ALL_LIMIT (16 * 1024 * 1024)
#define SHARE_SATURATED_BYTES (256 * 1024) /* of one request, or one connection */
#define SHARE_BEGIN_FRAMES 4 /* uncounted, of the only pair when others join it */
#define SHARE_STALL_MS 200
#define SHARE_STALL_WINDOW_MS 1000
#define SHARE_LONG_STALL_MS 3000     /* in all, where none that waits is in a hurry ... */
#define SHARE_LONG_WINDOW_MS 60000   /* ... in a minute */
#define SHARE_LOOK_MS 20             /* between looks at one that is full, but not slow */
#define SHARE_SLOW_BYTES_PER_MS 1024 /* who takes 1 MB/s is not failed for being slow */

struct share {
    struct tunnel *tunnel;
    struct credit credit;
    struct timer stall;
    bool stands;         /* the next bytes have no room where they belong */
    uint32_t stalled_id; /* the pair the tunnel waits for, and others with it; 0: none */
    uint64_t stalled_at;
    uint64_t window_at;  /* the second in which stalls are added up */
    uint64_t stalled_ms; /* ... so far */
    uint64_t long_at;    /* likewise the minute of the stalls that took longer */
    uint64_t long_ms;
};

struct share *share_create(struct tunnel *t);
/* A tunnel of one connection may be for many from now on, while that one sends and was
 * sent little. */
bool share_may_begin(const struct tunnel *t);
void share_begin(struct tunnel *t);
void share_destroy(struct share *s); /* NULL accepted */

/* All of these accept a tunnel that is not shared, and then do nothing or allow. */
bool share_may_send(const struct tunnel *t, const struct pair *p);
void share_ask(struct tunnel *t); /* in each turn, first */
void share_on_sent(struct tunnel *t, struct pair *p, size_t n);
void share_on_ping(struct tunnel *t);
void share_on_pong(struct tunnel *t, uint32_t ping_id);
void share_on_answer(struct tunnel *t, const struct pair *p);
/* Has this worker still to answer a PING? */
bool share_owes_pong(const struct tunnel *t, unsigned worker);
bool share_is_blind(const struct tunnel *t);
/* Nothing brakes this pair but TCP: it carries much, and no other uses the tunnel. */
bool share_is_unbraked(const struct tunnel *t, const struct pair *p);
/* Somebody carries much, who is left to himself as the others end: nobody joins him. */
bool share_is_saturated(const struct tunnel *t);
/* Whoever comes would neither wait nor be waited for; also of a tunnel that is not shared. */
bool share_welcomes(const struct tunnel *t);

/* Before bytes are moved into the pair: how much it may hold. */
void share_set_limit(struct tunnel *t, struct pair *p);
/* Bytes came into the pair, or its user took some. */
void share_account(struct pair *p);
/* The pair is full and its bytes are next; or the tunnel moves on. */
void share_on_full(struct tunnel *t, struct pair *p);
void share_on_moving(struct tunnel *t);
