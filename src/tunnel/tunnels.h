/* tunnel/tunnels.h - the connector that opens connections to pods through the API server
 *
 * Keeps the open tunnels of each pod (by UID: a replaced pod is another pod).  A tunnel is an
 * upgraded connection through the API server to the runtime on the pod's node, which carries
 * SPDY frames.  Opening a connection on an open tunnel costs no round trip.  If there is none,
 * a tunnel is dialled; with `dial_ahead` tunnels are prewarmed for the recent peak of
 * connections and a few more.  Idle tunnels are closed after `idle_ms`, checked every
 * `check_ms`.
 *
 * Knows nothing of HTTP clients, services or retries.  tunnel/tunnel.c begins with the theory
 * of operation.
 */
#pragma once

#include "connect/connector.h"
#include "kube/api.h"
#include "tunnel/settings.h"

struct tunnels;

/* Fails only where the target's certificates cannot be read. */
MUST_CHECK enum err tunnels_create(struct loop *loop, struct transfers *transfers,
                                   struct api *api,
                                   const struct tunnel_settings *settings,
                                   struct tunnels **ret, struct diag *why);

/* The connector; valid as long as `t` exists.  An opening dials if no tunnel has room for it
 * (opening.dialled).  stream_abort closes the tunnel, too, unless it is shared. */
struct connector *tunnels_connector(struct tunnels *t);

/* The machine slept, its network changed, or the process was stopped (`why`): every tunnel
 * must answer a PING within three seconds. */
void tunnels_check(struct tunnels *t, const char *why);

/* Open no new tunnels; close those without connections now, and the others when their last
 * connection ends.  *done is woken when no tunnel is left. */
void tunnels_drain(struct tunnels *t, struct task *done);
bool tunnels_idle(const struct tunnels *t);
/* One tunnel at this moment, for status pages; the texts are borrowed for the call. */
struct tunnel_status {
    struct log_id id;
    const char *ns, *pod;
    const char *state;     /* "dialling", "open", "retired" or "closed" */
    const char *transport; /* "SPDY", "WebSocket"; NULL: not open yet */
    bool shared;
    uint32_t lent;   /* connections that are in use */
    uint32_t idle;   /* connections kept for the next request */
    uint64_t age_ms; /* since it was opened; 0: not open yet */
};
void tunnels_each(const struct tunnels *t,
                  void (*each)(void *owner, const struct tunnel_status *), void *owner);

/* Changes the limits, times and transport of `settings`; the rest stays as it was at the
 * creation.  An open tunnel keeps its transport and its interval of PINGs. */
void tunnels_configure(struct tunnels *ts, const struct tunnel_settings *settings);
/* Closes the tunnels that are left. */
void tunnels_destroy(struct tunnels *t); /* NULL accepted */
