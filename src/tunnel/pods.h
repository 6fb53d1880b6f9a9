/* tunnel/pods.h - which tunnel serves which opening
 *
 * Private to tunnel/.  Per pod: the tunnels, and the openings that wait for one.  Reacts to
 * what happens to either (pods.c has the rules); a pod that is not needed any more goes by
 * itself, within any of these calls.
 */
#pragma once

#include "tunnel/pod_tunnels.h"

void pods_register_metrics(void);

/* Creates it if need be; never NULL. */
struct pod_tunnels *pods_get(struct tunnels *ts, const struct endpoint *e);
void pods_drop_if_unused(struct pod_tunnels *p);
/* All pods; each may go while it is visited. */
void pods_each(struct tunnels *ts, void (*visit)(struct pod_tunnels *p));

/* See connector_ops: open, cancel, has_room. */
void pods_open(struct pod_tunnels *p, const struct endpoint *endpoint, struct opening *o);
void pods_cancel(struct opening *o);
bool pods_have_room(struct pod_tunnels *p, uint16_t port);
/* The openings that wait fail: the process stops. */
void pods_cancel_all(struct pod_tunnels *p);

/* The pod is gone for the catalog: no further pairs; its tunnels are closed once the API
 * server has no such pod. */
void pods_retire(struct pod_tunnels *p);
/* No tunnel that is open now gets further pairs. */
void pods_retire_open(struct pod_tunnels *p);
void pods_close_tunnels(struct pod_tunnels *p, enum err e, const char *why);
