/* serve/raw.h - a connection to the listener of one service port
 *
 * Bytes are carried as they come, and the pod may send first; the connection of a client that
 * begins with an HTTP/1 request becomes a session instead, so that each of its requests is checked.
 * Private to serve/ and its owner; listen/ uses serve_accept_raw.
 */
#pragma once

#include "serve/session.h"

/* Takes the stream over, and a reference to from->exposed. */
void raw_open(struct serve *serve, struct stream *client, const struct visitor *from);
void raw_kill(struct list_node *member); /* reset it; the memory goes in its task */
void raw_destroy(struct list_node *member);
