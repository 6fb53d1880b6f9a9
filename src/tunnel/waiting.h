/* tunnel/waiting.h - the openings of a pod that wait for a tunnel
 *
 * Private to tunnel/.
 */
#pragma once

#include "tunnel/pod_tunnels.h"

void waiting_add(struct pod_tunnels *p, struct opening *o);
/* The opening got a connection, or was cancelled. */
void waiting_remove(struct opening *o);
void waiting_set_failure(struct opening *o, const struct api_error *error);
/* Fail the oldest opening; fail all. */
void waiting_fail_first(struct pod_tunnels *p, const struct api_error *error);
void waiting_fail_all(struct pod_tunnels *p, const struct api_error *error);
