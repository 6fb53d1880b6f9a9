/* tunnel/tunnels.h - a pod and a port in, a byte stream to its container out
 *
 * Keeps, per pod (by UID: a replaced pod is another pod), the tunnels that are open: each
 * one an upgraded connection through the API server to the runtime on the pod's node,
 * speaking SPDY.  Opening a connection on a warm tunnel costs no round trip; without one
 * a tunnel is dialled; with `dial_ahead` for a few more than came at once lately.  Idle
 * tunnels are closed after `idle_ms`, looked at every `check_ms`.
 *
 * Knows nothing of HTTP clients, services or retries: it opens, carries and gives
 * verdicts. tunnel/tunnel.c opens with the theory of operation.
 */
#pragma once

#include "base/log.h"
#include "catalog/catalog.h"
#include "kube/api.h"
#include "net/stream.h"
#include "tunnel/demand.h"

struct pod;
struct tunnels;

enum tunnel_transport {
    TUNNEL_TRANSPORT_AUTO, /* the usual one first, the other when it is refused */
    TUNNEL_TRANSPORT_SPDY,
    TUNNEL_TRANSPORT_WEBSOCKET,
};

/* Called from a task when openings lack something, for one of them at a time. */
struct tunnel_room {
    /* The pod has as many tunnels as it may: end a connection on one of them that makes no
     * progress.  False: there is none. */
    bool (*free_tunnel)(void *owner, const char *pod_key);
    /* A dial got none; before the next. */
    void (*free_descriptor)(void *owner);
    void *owner; /* NULL: there is nothing to free */
};

struct tunnel_settings {
    uint64_t idle_ms, check_ms;
    uint64_t dial_ms;         /* from the first packet to the 101 */
    uint64_t ping_ms;         /* a PING after this much silence of ours */
    uint64_t ping_timeout_ms; /* nothing received for this long while reading: dead */
    uint32_t own_max;         /* per pod: up to this many carry one connection each */
    uint32_t own_brief_max;   /* ... for openings that do not ask to be alone */
    bool coalesce; /* ... but own_max for these, too, where answers were large lately */
    uint32_t tunnels_max; /* per pod, shared ones included; further openings wait */
    uint32_t dials_max;   /* under way at once per node: each costs it a millisecond */
    uint32_t pairs_max;   /* a tunnel retires after carrying this many */
    uint64_t age_ms;      /* ... or at this age */
    bool connect_ahead;   /* make one connection to the API server at start */
    bool dial_ahead;      /* keep tunnels for as many as came at once lately */
    uint32_t prewarmed;   /* with dial_ahead: this many beside the first of a used pod */
    enum tunnel_transport transport;
    struct tunnel_room room;
    uint16_t cluster;  /* its number, for logs and metrics */
    uint64_t *last_id; /* the last tunnel's of the process; borrowed; NULL: of these */
};

/* Fails only where the target's certificates cannot be read. */
MUST_CHECK enum err tunnels_create(struct loop *loop, struct transfers *transfers,
                                   struct api *api,
                                   const struct tunnel_settings *settings,
                                   struct tunnels **ret, struct diag *why);

/* One connection to be opened.  The caller's struct, zeroed before; result is ERR_AGAIN
 * until known; what is known before tunnels_open returns wakes nobody, but for the end.
 *   OK             stream is the caller's: stream_close ends the connection in an orderly
 *                  way (the tunnel serves again), stream_abort gives the tunnel up with
 *                  it where it is not shared.  dialled: no warm one was there
 *   ERR_NOT_FOUND  the API server says that the pod does not exist
 *   ERR_FORBIDDEN, ERR_UNAUTHORIZED, ERR_THROTTLED, ERR_SERVER, ERR_CONNECT, ERR_TLS, ...
 *                  `error` says why */
struct opening {
    enum err result;
    struct stream *stream;
    bool dialled;
    struct log_id tunnel;
    struct api_error error;
    struct task *wake;
    bool alone;    /* set before: a tunnel to itself is worth a dial */
    bool small;    /* set before: with `coalesce`, it joins others rather than wait */
    uint16_t port; /* private, like what follows */
    struct pod *pod;
    struct list_node waiting;
};
void tunnels_open(struct tunnels *t, const struct endpoint *endpoint, uint16_t port,
                  struct opening *opening, struct task *wake);
/* Cancels; aborts a stream nobody took; idempotent; a zeroed struct is accepted. */
void opening_finish(struct opening *o);

/* Does it only wait for its turn?  Tunnels to its pod are being opened, the last one within
 * OPENING_PROGRESS_MS, but not enough of them yet. */
bool opening_progresses(const struct opening *o);

/* An idle connection that is merely kept does not keep its tunnel from expiring: the
 * owner of the stream says when it is lent out and when it only lies in a pool. */
void tunnel_stream_lend(struct stream *s, bool lent);
/* A kept one, before it is lent: does its next user want to be alone?  Else others may join
 * its tunnel. */
void tunnel_stream_set_alone(struct stream *s, bool alone);
/* Is it worth keeping?  Not when its pod is gone: nobody will ask for it; nor when the next
 * one does better on a tunnel with others. */
bool tunnel_stream_lasts(const struct stream *s);
/* May a kept one be lent out now?  Not while its tunnel, which carries one at a time, carries
 * another; and on a shared one not to somebody who wants it alone. */
bool tunnel_stream_free(const struct stream *s, bool alone);

/* The pod is gone: no new connection on its tunnels; live ones end by themselves. */
void tunnels_retire(struct tunnels *t, const char *pod_key);

/* Would an opening that is small be served at once? */
bool tunnels_have_room(struct tunnels *t, const char *pod_key, uint16_t port);
/* Did this pod send or receive much at once lately?  Then no request to it is small. */
bool tunnels_carry_much(struct tunnels *t, const char *pod_key);

/* What was asked of this pod lately. */
struct demand tunnels_demand(struct tunnels *t, const char *pod_key);
/* So many connections at once may be asked of it, as were of others: dial ahead for them,
 * until nobody came for `idle_ms` after the last of those did. */
void tunnels_expect(struct tunnels *t, const struct endpoint *endpoint, uint32_t at_once,
                    const struct demand *of);

/* How many there are to it, or are being dialled. */
uint32_t tunnels_to(struct tunnels *t, const char *pod_key);
/* It was used, and may be asked for more at once: dial `prewarmed` beside the one it has,
 * until tunnels to it were idle too long. */
void tunnels_prewarm(struct tunnels *t, const char *pod_key);
/* The same where it has open tunnels and none has room, as when idle connections to other
 * ports keep them; nothing while one is dialled. */
void tunnels_make_room(struct tunnels *t, const char *pod_key);

/* Does every dial wait for credentials, or fail for the lack of them?  *why says which. */
bool tunnels_lack_credentials(const struct tunnels *t, struct diag *why);
const char *tunnels_credential_words(const struct tunnels *t); /* see credentials_words */

/* The machine slept, its network changed, or the process was stopped (`why`): every tunnel
 * has to show within seconds that it is alive. */
void tunnels_probe(struct tunnels *t, const char *why);

/* No new tunnels; those without a connection close at once, the others as they end. */
void tunnels_drain(struct tunnels *t, struct task *done);
bool tunnels_idle(const struct tunnels *t);
/* Closes what is left, at once. */
void tunnels_destroy(struct tunnels *t); /* NULL accepted */
