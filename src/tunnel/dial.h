/* tunnel/dial.h - one dial: from a credential to a transport on which SPDY is spoken
 *
 * Private to tunnel/.  Waits for the credential, connects to the API server (or takes the
 * prewarmed connection), sends the upgrade request and reads the response.  It retries once
 * for each of these reasons: the prewarmed connection was closed; the credential was rejected
 * with a 401; the transport was refused (then with the other one).
 */
#pragma once

#include "base/log.h"
#include "tunnel/origin.h"

enum dial_state { DIAL_CREDENTIAL, DIAL_CONNECT, DIAL_UPGRADE, DIAL_OPEN, DIAL_FAILED };

/* The pod, for the upgrade request and the log; borrowed. */
struct tunnel_target {
    const char *ns, *pod, *label;
};

struct dial {
    struct tunnel_origin *origin;
    const struct tunnel_target *target;
    struct log_id id;
    enum dial_state state;
    struct task *wake; /* borrowed: the task that calls dial_run */
    struct timer deadline;
    uint64_t started_at; /* sched ms: when the credential was available */

    enum transport transport;
    struct credentials_want want;
    struct credential *credential; /* of the upgrade request */
    struct connecting connecting;
    struct stream *stream; /* to the API server; once open, the transport for SPDY */
    struct stream *wire;   /* the TCP or TLS stream: `stream`, or below its WebSocket */

    bool rejected;     /* the API server rejected a credential; only one retry */
    bool second_try;   /* the other transport was refused, with the error `refusal` */
    bool on_prewarmed; /* `stream` is the prewarmed connection */
    bool node_is_late; /* the deadline passed after the API server got the request */
    struct api_error refusal;
    struct api_error error; /* DIAL_FAILED: the reason */
};

/* on_deadline: callback of the timer, in the owner, which calls dial_on_deadline. */
void dial_init(struct dial *d, struct tunnel_origin *origin,
               const struct tunnel_target *target, struct log_id id, struct task *wake,
               void (*on_deadline)(struct timer *));
/* Run until it has to wait.  OK: dial_take returns the transport; ERR_AGAIN: `wake` will be
 * woken; else `error` has the reason. */
MUST_CHECK enum err dial_run(struct dial *d);
void dial_on_deadline(struct dial *d);
/* The transport, owned by the caller.  *ret_wire is valid as long as that.  *ret_outdated: the
 * client certificate has been replaced since the dial began. */
struct stream *dial_take(struct dial *d, struct stream **ret_wire, bool *ret_outdated);
void dial_finish(struct dial *d); /* idempotent */

const char *transport_name(enum transport t);
