/* serve/raw.h - a connection through a door that belongs to one service port
 *
 * No protocol is spoken: bytes are carried as they come, and the pod may speak first.
 * Private to serve/ and its owner; listen/ uses serve_accept_raw.
 */
#pragma once

#include "serve/session.h"

/* Takes the stream over; the route is copied. */
void raw_open(struct serve *serve, struct stream *client, const struct visitor *from,
              const struct route *route);
void raw_kill(struct list_node *member); /* reset it; the memory goes in its task */
void raw_destroy(struct list_node *member);
