/* tunnel/dialling.h - how many tunnels there should be to a pod
 *
 * Private to tunnel/: dials for openings that wait, and ahead of those that may come.
 */
#pragma once

#include "tunnel/pod_tunnels.h"

void dialling_register_metrics(void);
/* There is one tunnel more, or less. */
void dialling_count_live(struct tunnels *ts, int change);

void dialling_for_waiting(struct pod_tunnels *p);
void dialling_ahead(struct pod_tunnels *p);
/* A dial has ended, and what followed from it is done: dial for another pod, of the same node
 * first. */
void dialling_next(struct tunnels *ts, struct node *n);

/* The dial of this tunnel is over; it is over because the tunnel is open. */
void dialling_on_end(struct pod_tunnels *p, const struct tunnel *t);
void dialling_on_open(struct pod_tunnels *p, const struct tunnel *t);
/* silent: the API server itself did not answer. */
void dialling_on_failure(struct pod_tunnels *p, const struct api_error *error,
                         bool silent);
/* An open tunnel has ended by itself, after this time. */
void dialling_on_loss(struct pod_tunnels *p, uint64_t lived_ms);

/* Why this pod may not be dialled now; NULL: it may. */
const struct api_error *dialling_forbids(const struct pod_tunnels *p);

/* An answer that the next dial would get again. */
bool dialling_is_final(const struct api_error *e);
