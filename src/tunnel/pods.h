/* tunnel/pods.h - which tunnel serves which opening
 *
 * Private to tunnel/.  Has the tunnels of each pod, and the openings that wait for one (pods.c
 * has the rules).  Any of these calls frees the pod's state if that is not needed any more.
 */
#pragma once

#include "tunnel/pod_tunnels.h"

void pods_register_metrics(void);

/* Creates it if need be; never NULL. */
struct pod_tunnels *pods_get(struct tunnels *ts, const struct endpoint *e);
void pods_drop_if_unused(struct pod_tunnels *p);
/* Calls back for all pods; the callback may free the one it visits. */
void pods_each(struct tunnels *ts, void (*visit)(struct pod_tunnels *p));

/* See connector_ops: open, cancel, has_room. */
void pods_open(struct pod_tunnels *p, const struct endpoint *endpoint, struct opening *o);
void pods_cancel(struct opening *o);
bool pods_have_room(struct pod_tunnels *p, uint16_t port);
/* The process is shutting down: fail the openings that wait. */
void pods_cancel_all(struct pod_tunnels *p);

/* No service has the pod any more: its tunnels get no further pairs, and are closed once the
 * API server has no such pod. */
void pods_retire(struct pod_tunnels *p);
/* The tunnels that are open now get no further pairs. */
void pods_retire_open(struct pod_tunnels *p);
void pods_close_tunnels(struct pod_tunnels *p, enum err e, const char *why);
