/* tunnel/credit.h - how far the runtime's workers are behind, measured by PINGs
 *
 * SPDY as Kubernetes uses it has no flow control.  But PINGs wait in the same queues as
 * data: the server deals them to its five workers in turn, and each worker has a queue of
 * 50 frames.  So an answered PING proves that its worker took every frame queued before it.
 * Pure arithmetic; flush.c and pings.c send.  Used on shared tunnels, where a stuck
 * connection must not take its neighbours with it; on a tunnel of its own a connection is
 * braked by TCP.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CREDIT_WORKERS 5
#define CREDIT_FRAMES 24 /* unanswered data frames per worker, at most */
#define CREDIT_QUEUE 40  /* the same with unanswered PINGs: the server's limit is 50 */
#define CREDIT_ASK_FRAMES 12            /* send a PING after this many ... */
#define CREDIT_ASK_BYTES (256 * 1024)   /* ... or this much */
#define CREDIT_ANSWER_BYTES (64 * 1024) /* so much an answer proves as well as a PING */
#define CREDIT_ROUNDS 4  /* of five PINGs each, unanswered at once, usually */
#define CREDIT_PINGS 256 /* remembered; more are never unanswered: see CREDIT_QUEUE */

struct credit_mark {
    uint32_t frames, bytes; /* sent to its worker when this PING was */
};

struct credit {
    struct credit_worker {
        uint32_t sent_frames, taken_frames;
        uint32_t sent_bytes, taken_bytes;
        uint32_t asked_frames, asked_bytes; /* sent before the last PING */
        uint32_t pings;                     /* unanswered */
    } workers[CREDIT_WORKERS];
    struct credit_mark marks[CREDIT_PINGS]; /* by the number of the PING */
    uint32_t pings;                         /* sent so far */
    uint32_t first_ping;                    /* older ones do not count */
};

/* So many PINGs were sent before it is counted what is behind them. */
void credit_begin(struct credit *c, uint32_t pings);
/* A data frame for this worker was queued; a PING was (they are numbered from 0, and must
 * all be reported); PING number n was answered; the connection that alone uses this worker
 * has answered, which proves as much for a small number of bytes. */
void credit_on_data(struct credit *c, unsigned worker, uint32_t bytes);
void credit_on_ping(struct credit *c);
void credit_on_pong(struct credit *c, uint32_t number);
void credit_on_answer(struct credit *c, unsigned worker);

/* May one more data frame go to this worker? */
bool credit_allows(const struct credit *c, unsigned worker);
/* Should five PINGs be sent now, to learn more?  Never when a queue could overflow. */
bool credit_wants_pings(const struct credit *c, unsigned worker);
/* A worker owes four PINGs, and another one none: it does not run any more.  No new
 * connections; the room that is left in its queue is for PINGs that its neighbours cannot do
 * without.  When that is used up they go on without credit and without counting, unless they
 * owe a PING themselves: a container that never reads takes megabytes before it shows. */
bool credit_is_blind(const struct credit *c);
