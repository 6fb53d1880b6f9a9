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
struct tls_failure; /* upstream/tls_failure.h */

enum app_proto {
    PROTO_HTTP1,      /* only HTTP/1 */
    PROTO_HTTP1_OR_2, /* HTTP/2 if the port is declared to speak it, or does not speak
                         HTTP/1 */
    PROTO_HTTP,       /* HTTP/2 if the pod speaks it, else HTTP/1 */
    PROTO_HTTP2,      /* only HTTP/2: gRPC */
    PROTO_RAW,
};

/* What happens to the stream of a lease when it is returned. */
enum release_mode {
    RELEASE_KEEP, /* request and response are complete, `in` is empty: keep it in the pool */
    RELEASE_CLOSE, /* the response is complete: drop unsent bytes and close the stream, so
                      that its tunnel can be used again */
    RELEASE_ABORT, /* reset the stream; an own tunnel is closed */
};

struct want {
    const struct route *route; /* borrowed until the lease is returned */
    struct str client;         /* the client's address, for sessionAffinity; borrowed */
    enum app_proto proto;
    bool
        repeatable; /* the request is idempotent, and all of it is buffered for a retry */
    bool alone; /* a large or long transfer: it gets an own tunnel while there are any */
    bool small; /* a small request, and no large response is expected: it takes any
                        tunnel that is open */
    const struct endpoint *avoid; /* it failed just now: chosen last; may be NULL */
    unsigned attempt; /* how often this request was tried before.  Later attempts start
                         after a pause, in which the catalog may learn of the failure */
    bool certain;     /* HTTP/2 only on a connection whose SETTINGS have come: the request
                         cannot be sent again in HTTP/1 */
    bool cautious; /* the same until the port has shown that it speaks HTTP/2: it must not
                         get the request twice */
    bool upgrade;  /* a WebSocket: HTTP/2 only where the pod accepts extended CONNECT */
    bool same_ns;  /* from a browser: no ExternalName into another namespace */
    uint64_t pair; /* the idle connection with this number is taken first; 0: none */
    uint64_t wait_max_ms; /* of the user: --wait is not longer; 0: it may be */
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
    uint32_t
        tls; /* with which TLS it is spoken to, for upstream/ (tls_ports.h); 0: plain */
    bool expects_tls; /* PROTO_RAW: HTTP on it would have to be in TLS */
    bool reused; /* an idle connection: the pod may have closed it before the request */
    bool answered_lately; /* the pod's port has sent a response in the last minute */
    struct log_id via;    /* the tunnel, or the direct connection, for the log */
    /* Set by the user before RELEASE_KEEP: the pod may have tied the connection to its client
     * (NTLM), so only a request with this number in want.pair gets it again.  0: any request
     * may.  A lease of such a connection starts with its number. */
    uint64_t pair;
    uint32_t keep_ms;  /* set likewise, from `Keep-Alive: timeout`; 0: none */
    bool speaks_http2; /* set by the user: the port sent HTTP/2 in response to HTTP/1 */
    bool unanswered;   /* set by the user: the stream ended before a byte of a response */

    /* On failure, for the page that the client gets (serve/refusal.c):
     *   ERR_NOT_FOUND    why: services "x" not found
     *   ERR_UNAVAILABLE  no endpoint can serve: why has the state of the pods
     *   ERR_UNSUPPORTED  the port is not TCP: why has the declared ports
     *   ERR_NO_PORT      why has the declared ports
     *   ERR_SELF         an endpoint is the pod we run in: the user serves own pages
     *   ERR_LOOP         why has the endpoint that leads back to our listener
     *   ERR_FORBIDDEN    missing_verb/resource, in missing_ns
     *   ERR_CLOSED       why has the namespace that this request may not reach
     *   ERR_CANCELLED    the upstream is being drained
     *   ERR_VERSION      want.proto is PROTO_HTTP2, and the port does not speak HTTP/2
     *   ERR_TLS          with tls_failure: the pod's certificate is not accepted, or TLS failed
 *   ERR_TIMEOUT      the API server did not answer; with tls_failure: the pod, in the handshake
     *   other            no connection to `endpoint`: why has the reason, of the API server,
     *                    the runtime or the network */
    struct diag why;
    bool has_pods; /* the service has pods, whatever their state */
    bool dialling; /* the failure came from opening a connection, not from a look-up */
    bool direct;   /* with `dialling`: of a direct connection */
    const struct tls_failure *tls_failure; /* TLS with `endpoint` failed; or NULL */
    int api_status;                        /* the API server's HTTP status, 0: none */
    uint32_t retry_after;
    const char *missing_verb, *missing_resource;
    const char
        *plugin_output; /* ERR_CREDENTIALS: lines of the exec plugin that failed; or
                                  NULL */
    char missing_ns[64];

    /* sched ms, 0: not yet: the service was known, the last opening began, it was held. */
    uint64_t found_at, opening_at, held_at;

    struct cluster *cluster; /* for the user of the lease; upstream/ does not read it */
    struct outside
        *outside; /* likewise: a connection that does not lead to the cluster */
    struct leasing *private;
};

/* Is it a direct connection, to the pod's address? */
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
    if (l->outside)
        return "outside";
    return lease_is_direct(l) ? "direct" : "tunnel";
}

/* Request a lease.  The result may be known when this returns; otherwise `wake` is woken.
 * Once the result is OK, `wake` is the stream's wake until the lease is returned.  The lease
 * is the caller's struct, zeroed before. */
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
