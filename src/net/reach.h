/* net/reach.h - which of a server's addresses answer; private to net/
 *
 * curl tries the addresses of a name one after the other: the other family's after 200
 * ms, but the next of the same one only when half of the time for connecting is over.  So
 * an attempt that has no answer after REACH_SLOW_MS starts a race: the name is looked up
 * on a thread, its other addresses are tried too, and if one of them answers, curl's
 * attempt is ended, so that curl goes on to the next.  An address that did not answer,
 * while another one did, is not tried again for REACH_DEAD_MS.
 */
#pragma once

#include <sys/socket.h>

#include "base/sched.h"

#define REACH_SLOW_MS 250
#define REACH_DEAD_MS 300000
#define REACH_DEAD_MAX 8

/* Addresses that did not answer; of one struct transfers. */
struct reach_memory {
    struct reach_dead {
        struct sockaddr_storage address; /* the port does not count */
        uint64_t until;
    } dead[REACH_DEAD_MAX];
    size_t next; /* index of the entry that is replaced next */
};

/* The connection attempts of one curl handle. */
struct reach {
    struct reach_memory *memory;
    char *host; /* a name; NULL: it is an address, so there is no other */
    uint16_t port;
    bool passed_over; /* an address was skipped because it did not answer recently */
    int fd;           /* the last attempt's, or -1 */
    ino_t inode;      /* of fd, which curl may close */
    struct sockaddr_storage address,
        slow; /* of the current attempt; of an attempt that was slow, or none */
    struct timer stall;
    struct race *race; /* private; NULL: none */
    bool ended;        /* the attempt was ended: curl has to go on */
    void (*on_ended)(struct reach *r);
};

/* on_ended is called when an attempt was ended: curl (at least 7.88) must then be called
 * a moment later, to go on to the next address. */
void reach_init(struct reach *r, struct reach_memory *memory, struct sched *sched,
                void (*on_ended)(struct reach *r));
/* host: what curl resolves, a proxy's name if there is one; without brackets.  For an
 * address nothing happens. */
void reach_set_host(struct reach *r, const char *host, uint16_t port);
void reach_finish(struct reach *r); /* idempotent; zeroed accepted */

/* Called before curl opens a socket to this address: is it known not to answer? */
bool reach_is_dead(struct reach *r, const struct sockaddr *address);
void reach_on_attempt(struct reach *r, int fd, const struct sockaddr *address,
                      socklen_t len);
/* The handle is connected, to `address` as text, or failed to connect. */
void reach_on_success(struct reach *r, const char *address);
void reach_on_failure(struct reach *r);
