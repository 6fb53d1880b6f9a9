/* serve/attempts.h - the leases of one request or raw connection, one after the other
 *
 * Counts them, adds up how long they were waited for, and decides whether there may be another
 * one: what was never delivered may be sent to another pod, what may have been delivered only
 * where a second delivery does no harm (decision 032).  Free of HTTP.  Private to
 * serve/.
 */
#pragma once

#include "net/stream.h"
#include "upstream/lease.h"

struct config;
struct name;
struct serve;

#define DELIVERIES_MAX 3 /* of one request */
#define IN_HTTP2_MAX 8   /* each pod of a service may be the first to send HTTP/2 */

struct attempts {
    struct lease lease;  /* the present one; zeroed: none */
    bool adopted;        /* it was begun before there was a request */
    bool outside;        /* the next ones lead out of the cluster */
    bool may_go_outside; /* ... if the cluster does not have the present one's address */
    unsigned count;      /* leases so far */
    unsigned deliveries; /* ... that may have delivered the request, and have failed */
    unsigned in_http2;   /* leases that ended because their pod sent HTTP/2 */
    uint64_t leased_at;  /* sched ms: the present one */
    uint64_t repeat_until;  /* sched ms: the end of --wait, from the first one on */
    uint64_t waited_ms;     /* for all of them; --wait is for their sum */
    struct endpoint *avoid; /* a reference: the last one that failed; NULL: none has */
};

/* Begin the next lease; *want is completed.  An adopted lease that was not used yet stays. */
void attempts_lease(struct attempts *a, struct serve *s, struct want *want,
                    struct task *wake);
/* Take over the lease and the count of `from`, which has not sent anything.  One that has no
 * lease is accepted. */
void attempts_adopt(struct attempts *a, struct attempts *from, struct str client,
                    struct task *wake);
/* The lease has a result.  True: it failed because its cluster was replaced while it waited, or
 * because the address is outside the cluster; it was returned and does not count: lease
 * again. */
bool attempts_must_lease_again(struct attempts *a, uint64_t now);
/* Return the lease, if there is one. */
void attempts_return(struct attempts *a, enum release_mode release);
/* The same; the next lease avoids its endpoint. */
void attempts_fail(struct attempts *a);
/* The same; it does not count, and its endpoint may be leased again. */
void attempts_withdraw(struct attempts *a);
/* For the next request; the lease is returned. */
void attempts_clear(struct attempts *a);

/* Does the present lease lead to a namespace that is closed by now?  `name`: of its route. */
bool attempts_reach_closed(const struct attempts *a, const struct serve *s,
                           const struct name *name);

/* May a stream that ended like this have delivered what it was sent? */
bool attempts_may_have_delivered(enum verdict verdict);
/* May there be another lease after the stream of this one ended without a response?
 * `delivered`: the pod may have the request; `idempotent`: a second delivery does no harm. */
bool attempts_may_repeat(const struct attempts *a, bool delivered, bool idempotent,
                         uint64_t now);
