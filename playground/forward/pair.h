/* playground/forward/pair.h - one forwarded connection: two streams and a pod's */
#pragma once

#include "playground/forward/state.h"

/* A new stream finds its other half by the request id, or waits for it. */
void pair_join(struct session *s, struct spdy_stream *stream,
               const struct stream_wish *wish);

/* The consumer takes these bytes, all of them; false: it is busy with earlier ones. */
bool pair_takes(struct pair *p, struct bufq *payload);
/* The client's half of one of its streams ended. */
void pair_client_ended(struct pair *p, const struct spdy_stream *stream);
/* There may be room in the session again. */
void pair_wake(struct list_node *waiting);
void pair_destroy(struct pair *p);

/* All pairs of a session. */
void pairs_destroy(struct session *s);
