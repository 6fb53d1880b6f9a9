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

#include "connect/connector.h"
#include "kube/api.h"
#include "tunnel/settings.h"

struct tunnels;

/* Fails only where the target's certificates cannot be read. */
MUST_CHECK enum err tunnels_create(struct loop *loop, struct transfers *transfers,
                                   struct api *api,
                                   const struct tunnel_settings *settings,
                                   struct tunnels **ret, struct diag *why);

/* Opens connections in tunnels; as long as `t` exists.  An opening dials where no tunnel has
 * room for it (`dialled`); stream_abort gives up the tunnel, too, unless it is shared. */
struct connector *tunnels_connector(struct tunnels *t);

/* The machine slept, its network changed, or the process was stopped (`why`): every tunnel
 * has to show within seconds that it is alive. */
void tunnels_check(struct tunnels *t, const char *why);

/* No new tunnels; those without a connection close at once, the others as they end. */
void tunnels_drain(struct tunnels *t, struct task *done);
bool tunnels_idle(const struct tunnels *t);
/* Closes what is left, at once. */
void tunnels_destroy(struct tunnels *t); /* NULL accepted */
