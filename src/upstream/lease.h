/* upstream/lease.h - a byte stream to one endpoint of a service port
 *
 * A lease is lent to one exchange or one raw connection until it is returned.  upstream/ looks
 * up the service, chooses an endpoint, takes an idle HTTP/1 connection or opens a new one, and
 * tries another endpoint when that fails.  Once bytes were written to the stream, retries are
 * the user's decision, by the stream's verdict; the user keeps the bytes for them.
 */
#pragma once

#include "base/log.h"

struct endpoint;
struct route;
struct stream;
struct task;

struct cluster;
struct upstream;

struct message_stream;

enum app_proto {
    PROTO_HTTP1,
    PROTO_HTTP,  /* HTTP/2 where the pod speaks it, else HTTP/1 */
    PROTO_HTTP2, /* nothing else will do: gRPC */
    PROTO_RAW,
};

/* What happens to the stream of a lease when it is returned. */
enum release_mode {
    RELEASE_KEEP,  /* both messages complete, `in` empty: back to the pool */
    RELEASE_CLOSE, /* the response is complete: drop unsent bytes and end in order, so that
                      a tunnel can be used again */
    RELEASE_ABORT, /* reset it; an own tunnel is closed */
};

struct want {
    const struct route *route; /* borrowed until the lease is returned */
    struct str client;         /* the client's address, for sessionAffinity; borrowed */
    enum app_proto proto;
    bool repeatable; /* idempotent, and all of the request is held */
    bool alone; /* a large or long transfer: it gets an own tunnel while there are any */
    bool small; /* a small request, and no large response is expected: it takes any
                        tunnel that is open */
    const struct endpoint *avoid; /* it failed just now: last choice; may be NULL */
    unsigned attempt; /* how often this request was tried before: from the third time on
                         after a pause, in which the catalog may learn of the failure */
    bool same_ns;     /* a browser's: an ExternalName is followed to no other namespace */
    uint64_t pair;    /* the idle connection with this number is taken first; 0: none */
    uint64_t
        wait_until;   /* sched ms: the lease fails instead of being parked after this */
    struct log_id id; /* of the exchange, for the log */
};

struct lease {
    enum err result; /* ERR_AGAIN: looking up, dialling or parked */
    struct stream *stream;
    struct message_stream *message; /* on `stream`, which is its bytes */
    bool is_shared;            /* an HTTP/2 connection that carries other requests, too */
    struct endpoint *endpoint; /* a reference; also on failure: the last one tried */
    uint16_t port;             /* the container's port */
    bool reused;               /* an idle connection: its failure may be a stale one */
    struct log_id via;         /* what carries it: a tunnel, or a connection of its own */
    /* Set by the user before RELEASE_KEEP: the pod may take what comes on the stream for
     * this client's, so it is lent only for want.pair again.  0: any request's; a paired
     * one that is lent has its number already. */
    uint64_t pair;
    uint32_t keep_ms;  /* set likewise: Keep-Alive: timeout; 0: none */
    bool speaks_http2; /* set by the user: the port has answered HTTP/1 in HTTP/2 */
    bool unanswered;   /* set by the user: the stream ended before a byte of an answer */

    /* On failure, for the page that the client gets (serve/refusal.c):
     *   ERR_NOT_FOUND    why: services "x" not found
     *   ERR_UNAVAILABLE  no endpoint can serve: why has the state of the pods
     *   ERR_UNSUPPORTED  the port is not TCP: why has the declared ports
     *   ERR_NO_PORT      why has the declared ports
     *   ERR_SELF    an endpoint is the pod we run in: the user answers with own pages
     *   ERR_LOOP         why has the endpoint that leads back to our listener
     *   ERR_FORBIDDEN    missing_verb/resource, in missing_ns
     *   ERR_CLOSED       why has the namespace that this request may not reach
     *   ERR_CANCELLED    the upstream is being drained
     *   ERR_VERSION      PROTO_HTTP2 is wanted, and the port speaks something else
     *   ERR_TIMEOUT      the API server did not answer
     *   other            no connection to `endpoint`: why has the reason, of the API server,
     *                    the runtime or the network */
    struct diag why;
    bool has_pods;  /* the service has some, whatever their state */
    bool dialling;  /* the failure came from opening a connection, not from a look-up */
    bool direct;    /* with `dialling`: of one to the pod's address */
    int api_status; /* the API server's HTTP status, 0: none */
    uint32_t retry_after;
    const char *missing_verb, *missing_resource;
    const char *words; /* ERR_CREDENTIALS: of the plugin that failed, in lines; or NULL */
    char missing_ns[64];

    struct cluster
        *cluster; /* the user's own: the upstream that lends it is of this one */
    struct leasing *private;
};

/* Is it a connection of its own, to the pod's address? */
static inline bool via_is_direct(struct log_id via)
{
    return via.kind == 'd';
}

static inline bool lease_is_direct(const struct lease *l)
{
    return via_is_direct(l->via);
}

/* The log key of `via`: which connector carried the connection. */
static inline const char *lease_via_key(const struct lease *l)
{
    return lease_is_direct(l) ? "direct" : "tunnel";
}

/* Once result is OK, `wake` is the stream's wake until the lease is returned.  The result may
 * be known when it returns.  The lease is the caller's struct, zeroed before. */
void upstream_lease(struct upstream *u, const struct want *want, struct lease *lease,
                    struct task *wake);
/* Give it to another user, in whatever state it is: *to is zeroed before, *from after.
 * `client` and `wake` take the place of those of upstream_lease. */
void upstream_lease_move(struct lease *from, struct lease *to, struct str client,
                         struct task *wake);
/* Close the idle connections that were paired with this number. */
void upstream_unpair(struct upstream *u, uint64_t pair);
/* Give the stream back, or cancel; drops the references; idempotent; *lease is zeroed. */
void upstream_return(struct lease *lease, enum release_mode release);
