/* bench/load/client.h - one connection of the load, which sends requests one after the
 * other
 *
 * Non-blocking, driven by edge-triggered epoll: client_step does all that can be done
 * now. A request is due at a time; a paced client's latencies count from then, whether or
 * not it was free to send (a slow answer delays the next request, and that is part of its
 * cost).
 */
#pragma once

#include "bench/load/answer.h"
#include "bench/load/plan.h"

enum client_state {
    CLIENT_WAITS,    /* nothing is due; the connection may be open */
    CLIENT_CONNECTS, /* the request is sent once the connection is established */
    CLIENT_TALKS,    /* sending, or waiting for the answer, or both */
};

struct run;

struct client {
    struct run *run;
    int fd; /* -1: none */
    enum client_state state;
    uint64_t due;   /* when the next request is, or was; ns */
    uint64_t began; /* when the current one began */
    size_t step;    /* of the plan's, before the head */
    uint64_t sent;  /* of the step, or of head and body */
    struct answer answer;
    struct secure *secure; /* NULL: no TLS, or no connection */
    struct call *call;     /* of the connection; NULL: none, or HTTP/1 */
    const char *call_bytes;
    size_t call_len;
};

/* What all clients of a run share. */
struct run {
    const struct plan *plan;
    int epoll;
    uint64_t now; /* monotonic ns, as of this turn */
    uint64_t started;
    bool counting;
    uint64_t begun; /* requests, since it counts */
    uint32_t dials;
    struct tally tally;
    char *scratch; /* read into, and sent from as body */
    size_t scratch_len;
};

/* All requests of the plan are under way or over. */
bool run_has_begun_all(const struct run *r);

void client_init(struct client *c, struct run *r, uint64_t due);
void client_finish(struct client *c);

/* Do what can be done; events are epoll's, or 0: safe to call at any time. */
void client_step(struct client *c, uint32_t events);
/* Fail a request that has had its time. */
void client_look_at_clock(struct client *c);

uint64_t monotonic_ns(void);
