/* tunnel/dialling.h - how many tunnels there should be to a pod
 *
 * Private to tunnel/.  Dials for openings that wait, and prewarms tunnels for later ones.
 */
#pragma once

#include "tunnel/pod_tunnels.h"

void dialling_register_metrics(void);
/* Add `change` (1 or -1) to the number of tunnels. */
void dialling_count_live(struct tunnels *ts, int change);

void dialling_for_waiting(struct pod_tunnels *p);
void dialling_prewarm(struct pod_tunnels *p);
/* A dial has ended: start dials of other pods that waited for a limit, of the same node first.
 * Call after everything else that follows from the end. */
void dialling_next(struct tunnels *ts, struct node *n);

/* The dial of this tunnel has ended; it has ended with an open tunnel. */
void dialling_on_end(struct pod_tunnels *p, const struct tunnel *t);
void dialling_on_open(struct pod_tunnels *p, const struct tunnel *t);
/* silent: there was no response from the API server itself. */
void dialling_on_failure(struct pod_tunnels *p, const struct api_error *error,
                         bool silent);
/* An open tunnel was lost after this time. */
void dialling_on_loss(struct pod_tunnels *p, uint64_t lived_ms);

/* Why this pod may not be dialled now; NULL: it may. */
const struct api_error *dialling_forbids(const struct pod_tunnels *p);

/* Would the next dial get the same error? */
bool dialling_is_final(const struct api_error *e);
