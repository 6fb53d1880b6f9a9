/* upstream/lease.h - everything between an exchange and a pod
 *
 * A lease is a byte stream to one endpoint of a service port, lent to one exchange (or
 * one raw connection).  Behind it: looking the service up, choosing an endpoint, an idle
 * HTTP/1 connection to it or a fresh pair in a tunnel, and what to do when one fails
 * before anything was delivered.  The user of a lease keeps the bytes for a repetition;
 * this side only gives verdicts.
 */
#pragma once

#include "base/log.h"

struct endpoint;
struct route;
struct stream;
struct task;

struct cluster;
struct upstream;

enum app_proto { PROTO_HTTP1, PROTO_RAW };

/* What happens to the stream of a lease when it is returned. */
enum release_mode {
    RELEASE_KEEP,  /* both messages complete, `in` empty: back to the pool */
    RELEASE_CLOSE, /* the answer is complete: drop unsent bytes, FIN; the tunnel serves
                      again after verdict and probe */
    RELEASE_ABORT, /* give the pair up: an own tunnel closes */
};

struct want {
    const struct route *route; /* borrowed until the lease is returned */
    struct str client;         /* the client's address, for sessionAffinity; borrowed */
    enum app_proto proto;
    bool repeatable; /* idempotent, and all of the request is held */
    bool alone;      /* it will carry much, or for long: a tunnel to itself,
                                     while there are any */
    bool small;      /* little is sent, and nothing large was answered: it goes
                                     out on whatever tunnel is open */
    const struct endpoint *avoid; /* failed just now: last choice; may be NULL */
    unsigned attempt;             /* how often this request was tried before: from the
                                     third time on with a pause, for the news to arrive */
    bool same_ns;  /* a browser's: an ExternalName is followed to no other namespace */
    uint64_t pair; /* a connection that was paired with this one of the client's is taken
                      first; 0: there is none */
    uint64_t wait_until; /* sched ms: no waiting for better times after this */
    struct log_id id;    /* of the exchange, for the log */
};

struct lease {
    enum err result; /* ERR_AGAIN: looking up, dialling or parked */
    struct stream *stream;
    struct endpoint *endpoint; /* a reference; also on failure: the last one tried */
    uint16_t port;             /* the container's port */
    bool reused;               /* an idle connection: its failure may be a stale one */
    struct log_id via;         /* what carries it: a tunnel, or a connection of its own */
    /* Set by the user before RELEASE_KEEP: the pod may take what comes on the stream for
     * this client's, so it is lent only for want.pair again.  0: any request's; a paired
     * one that is lent has its number already. */
    uint64_t pair;
    uint32_t keep_ms; /* set likewise: Keep-Alive: timeout; 0: none */
    bool unanswered;  /* set by the user: the stream ended before a byte of an answer */

    /* On failure, for the page that the client gets (serve/refusal.c):
     *   ERR_NOT_FOUND    why: services "x" not found
     *   ERR_UNAVAILABLE  no endpoint can serve: why says what is the matter with the pods
     *   ERR_UNSUPPORTED  the port is not TCP: why lists the declared ports
     *   ERR_NO_PORT      why lists the declared ports
     *   ERR_OURSELVES    one of its endpoints is the pod we run in: answer it yourself
     *   ERR_LOOP         why says which endpoint leads back to our listener
     *   ERR_FORBIDDEN    missing_verb/resource, in missing_ns
     *   ERR_CLOSED       why says which namespace this request may not reach
     *   ERR_CANCELLED    the upstream is being drained
     *   ERR_TIMEOUT      the API server did not answer
     *   other            port-forward to `endpoint` failed: why is the API server's or
     *                    the runtime's reason */
    struct diag why;
    bool has_pods;  /* the service has some, whatever their state */
    bool dialling;  /* the failure came from opening a port-forward, not from a look-up */
    int api_status; /* the API server's HTTP status, 0: none */
    uint32_t retry_after;
    const char *missing_verb, *missing_resource;
    const char *words; /* ERR_CREDENTIALS: of the plugin that failed, in lines; or NULL */
    char missing_ns[64];

    struct cluster
        *cluster; /* the user's own: the upstream that lends it is of this one */
    struct leasing *private;
};

static inline bool lease_is_direct(const struct lease *l)
{
    return l->via.kind == 'd';
}

/* The log key of `via`: which connector carried the connection. */
static inline const char *lease_via_key(const struct lease *l)
{
    return lease_is_direct(l) ? "direct" : "tunnel";
}

/* Once result is OK, `wake` is the stream's wake until the lease is returned.  May answer
 * before it returns.  The lease is the caller's memory and starts zeroed. */
void upstream_lease(struct upstream *u, const struct want *want, struct lease *lease,
                    struct task *wake);
/* Another user takes it over, in whatever state it is: *to is zeroed before, *from after.
 * `client` and `wake` take the place of those of upstream_lease. */
void upstream_lease_move(struct lease *from, struct lease *to, struct str client,
                         struct task *wake);
/* Close the idle connections that were paired with this number. */
void upstream_unpair(struct upstream *u, uint64_t pair);
/* Also cancels; drops the references; idempotent; the struct is zeroed. */
void upstream_return(struct lease *lease, enum release_mode release);
