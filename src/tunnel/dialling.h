/* tunnel/dialling.h - how many tunnels there should be to a pod
 *
 * Private to tunnel/: dials for those who wait, and ahead of those who may come.
 */
#pragma once

#include "tunnel/pod.h"

void dialling_register_metrics(void);

void dialling_for_waiting(struct pod *p);
void dialling_ahead(struct pod *p);

/* The dial of this tunnel is over; then, once what came of it is settled, another pod's may
 * be next, of the same node first. */
void dialling_on_end(struct pod *p, const struct tunnel *t);
/* silent: the API server itself did not answer. */
void dialling_on_failure(struct pod *p, const struct api_error *error, bool silent);
void dialling_log_failure(struct pod *p, const struct api_error *error);
/* A further failure would be of the same row. */
bool dialling_is_failing(const struct pod *p);
/* The row of failures is over: by a success, or because the pod is not dialled any more. */
void dialling_log_end(struct pod *p, bool success);
void dialling_next(struct tunnels *ts, struct node *n);
/* An open tunnel has ended by itself, after so long. */
void dialling_on_loss(struct pod *p, uint64_t lived_ms);

/* Why nobody may dial this pod now; NULL: they may. */
const struct api_error *dialling_forbids(const struct pod *p);

/* An answer that the next dial would get again. */
bool dialling_is_final(const struct api_error *e);
