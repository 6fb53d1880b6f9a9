/* tunnel/credit.h - how many frames the runtime's workers have not taken yet, known by PINGs
 *
 * SPDY as Kubernetes uses it has no flow control.  But PINGs wait in the same queues as
 * data: the runtime gives them to its five workers in turn, and each worker has a queue of
 * 50 frames.  So an answered PING proves that its worker took every frame queued before it.
 * Pure arithmetic; flush.c and pings.c send the frames.  Credit is used on shared tunnels,
 * where a stuck pair must not block the others; on an own tunnel TCP limits the pair.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CREDIT_WORKERS 5
#define CREDIT_FRAMES 24 /* unanswered data frames per worker, at most */
#define CREDIT_QUEUE 40  /* the same with unanswered PINGs: the server's limit is 50 */
#define CREDIT_PING_FRAMES 12           /* send a PING after this many frames ... */
#define CREDIT_PING_BYTES (256 * 1024)  /* ... or this many bytes */
#define CREDIT_PROVEN_BYTES (64 * 1024) /* bytes from the pod prove fewer than this */
#define CREDIT_ROUNDS 4  /* rounds of five PINGs that are usually unanswered at most */
#define CREDIT_PINGS 256 /* size of `marks`; CREDIT_QUEUE keeps the unanswered below it */

struct credit_mark {
    uint32_t frames, bytes; /* sent to its worker before this PING */
};

struct credit {
    struct credit_worker {
        uint32_t sent_frames, taken_frames;
        uint32_t sent_bytes, taken_bytes;
        uint32_t pinged_frames, pinged_bytes; /* sent before the last PING */
        uint32_t pings;                       /* unanswered */
    } workers[CREDIT_WORKERS];
    struct credit_mark marks[CREDIT_PINGS]; /* a ring, by the number of the PING */
    uint32_t pings;                         /* sent so far */
    uint32_t first_ping;                    /* PINGs with lower numbers are ignored */
};

/* Start counting; `pings` PINGs were sent on this tunnel before. */
void credit_begin(struct credit *c, uint32_t pings);
/* A data frame for this worker was queued. */
void credit_on_data(struct credit *c, unsigned worker, uint32_t bytes);
/* A PING was queued.  PINGs are numbered from 0, and each must be reported. */
void credit_on_ping(struct credit *c);
/* PING `number` was answered. */
void credit_on_pong(struct credit *c, uint32_t number);
/* The pod has sent bytes on the pair that this worker serves.  That proves as much as a PING, if
 * fewer than CREDIT_PROVEN_BYTES are unproven. */
void credit_on_answer(struct credit *c, unsigned worker);

/* May one more data frame be sent to this worker? */
bool credit_allows(const struct credit *c, unsigned worker);
/* Should a round of five PINGs be sent now?  Never when a worker's queue could overflow. */
bool credit_wants_pings(const struct credit *c, unsigned worker);
/* Is a worker stuck?  It counts as stuck when four of its PINGs are unanswered, and none of
 * another worker's.  The tunnel then gets no new pairs, and the room that is left in the stuck
 * worker's queue is used only for rounds of PINGs that the other workers need.  When that room
 * is used up, the other workers get frames without credit and without counting, unless a PING
 * of theirs is unanswered. */
bool credit_has_stuck_worker(const struct credit *c);
