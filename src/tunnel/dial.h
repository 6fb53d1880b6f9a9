/* tunnel/dial.h - one dial: from a credential to a transport on which SPDY is spoken
 *
 * Private to tunnel/.  Waits for the credential, connects to the API server (or takes the
 * prewarmed connection), sends the upgrade request and reads its answer.  Tries again by
 * itself, once each: when the prewarmed connection has died, with another credential after a
 * 401, and with the other transport where the first is refused.
 */
#pragma once

#include "base/log.h"
#include "tunnel/origin.h"

enum dial_state { DIAL_ASK, DIAL_CONNECT, DIAL_UPGRADE, DIAL_OPEN, DIAL_FAILED };

/* The pod, for the upgrade request and the log; borrowed. */
struct tunnel_target {
    const char *ns, *pod, *label;
};

struct dial {
    struct tunnel_origin *origin;
    const struct tunnel_target *target;
    struct log_id id;
    enum dial_state state;
    struct task *wake; /* borrowed: of what runs dial_run */
    struct timer deadline;
    uint64_t started_at; /* sched ms: the credential was there */

    enum transport transport;
    struct credentials_want want;
    struct credential *credential; /* of the upgrade request */
    struct connecting connecting;
    struct stream *stream; /* to the API server, then what SPDY is spoken on */
    struct stream *wire;   /* the same, or what its WebSocket stands on */

    bool rejected; /* the API server did not accept a credential: the next is the last */
    bool second_try;   /* the other transport was refused ... */
    bool on_prewarmed; /* on a connection that was made before */
    bool node_is_late; /* the API server has the request, and the node did not answer */
    struct api_error refusal; /* ... with this */
    struct api_error error;   /* DIAL_FAILED: the reason */
};

/* on_deadline: its owner's, which calls dial_on_deadline. */
void dial_init(struct dial *d, struct tunnel_origin *origin,
               const struct tunnel_target *target, struct log_id id, struct task *wake,
               void (*on_deadline)(struct timer *));
/* Go on as far as possible.  OK: dial_take has the transport; ERR_AGAIN: `wake` will be
 * woken; else `error` has the reason. */
MUST_CHECK enum err dial_run(struct dial *d);
void dial_on_deadline(struct dial *d);
/* The transport is the caller's; *ret_wire lasts as long as that.  *ret_outdated: the API
 * server's identity has changed since the dial began. */
struct stream *dial_take(struct dial *d, struct stream **ret_wire, bool *ret_outdated);
void dial_finish(struct dial *d); /* idempotent */

const char *transport_name(enum transport t);
