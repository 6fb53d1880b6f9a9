/* playground/forward/pair.h - one forwarded connection: two SPDY streams and the pod's
 * stream */
#pragma once

#include "playground/forward/state.h"

/* Joins a new stream with the other stream of its request id, or makes it wait for
 * that. */
void pair_join(struct session *s, struct spdy_stream *stream,
               const struct stream_wish *wish);

/* Takes all of these bytes for the pod; false: earlier ones are not written yet. */
bool pair_takes(struct pair *p, struct bufq *payload);
/* The client has ended one of the two streams. */
void pair_client_ended(struct pair *p, const struct spdy_stream *stream);
/* Call it when the session may have room again. */
void pair_wake(struct list_node *waiting);
void pair_destroy(struct pair *p);

/* Destroys all pairs of a session. */
void pairs_destroy(struct session *s);
