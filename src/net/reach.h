/* net/reach.h - which of a server's addresses answer; private to net/
 *
 * curl tries the addresses of a name one after the other: the other family's after 200 ms,
 * but the next of the same one only when half of the time for connecting is over.  So an
 * attempt that has no answer after REACH_SLOW_MS starts a race: the name is looked up on a
 * thread, its other addresses are tried too, and if one of them answers, curl's attempt is
 * ended, so that curl goes on to the next.  An address that was passed over in favour of
 * one that works is not tried again for REACH_DEAD_MS.
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
    size_t next; /* to be replaced */
};

/* One curl handle's connecting. */
struct reach {
    struct reach_memory *memory;
    char *host; /* a name, or NULL: one address is all there is */
    uint16_t port;
    bool passed_over; /* an address, because it is dead */
    int fd;           /* the last attempt's, or -1 */
    ino_t inode;      /* of fd, which is curl's to close */
    struct sockaddr_storage address,
        slow; /* of the attempt; one that was slow, or none */
    struct timer stall;
    struct race *race; /* private; NULL: none */
    bool ended;        /* the attempt was ended: curl has to go on */
    void (*on_ended)(struct reach *r);
};

/* on_ended: curl, of 7.88 at least, has to be called to go on to the next address, shortly
 * after it has seen that the attempt is over. */
void reach_init(struct reach *r, struct reach_memory *memory, struct sched *sched,
                void (*on_ended)(struct reach *r));
/* host: what curl resolves, a proxy's name if there is one; without brackets.  For an
 * address nothing happens. */
void reach_set_host(struct reach *r, const char *host, uint16_t port);
void reach_finish(struct reach *r); /* idempotent; zeroed accepted */

/* curl wants a socket for this address: is it one that does not answer? */
bool reach_is_dead(struct reach *r, const struct sockaddr *address);
void reach_on_attempt(struct reach *r, int fd, const struct sockaddr *address,
                      socklen_t len);
/* It is connected, to `address` as text; or could not be. */
void reach_on_success(struct reach *r, const char *address);
void reach_on_failure(struct reach *r);
