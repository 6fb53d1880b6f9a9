/* serve/raw.h - a connection whose bytes all lead to one port of one service
 *
 * Through a listener that belongs to it, or after a proxy request.
 *
 * Bytes are carried as they come, and the pod may send first; the connection of a client that
 * begins with an HTTP/1 request becomes a session instead, so that each of its requests is checked.
 * Private to serve/ and its owner; listen/ uses serve_accept_raw.
 */
#pragma once

#include "serve/proxy_reply.h"
#include "serve/visitor.h"

struct attempts;
struct client_status;
struct list_node;
struct serve;
struct stream;

/* Takes the stream over, and a reference to from->exposed. */
void raw_open(struct serve *serve, struct stream *client, const struct visitor *from);
/* The same after a SOCKS request, whose number is `id`'s: `client` waits for the reply. */
void raw_open_proxied(struct serve *serve, struct stream *client,
                      const struct visitor *from, struct log_id id,
                      enum proxy_client due);
/* The same after a CONNECT that has been answered, with the lease of `attempts`. */
void raw_open_leased(struct serve *serve, struct stream *client,
                     const struct visitor *from, struct log_id id,
                     struct attempts *attempts);
/* For status pages.  False: it is closed. */
bool raw_status(const struct list_node *member, struct client_status *ret);
/* Reset it if it leads to a namespace that is closed by now. */
void raw_close_denied(struct list_node *member);
const struct visitor *raw_visitor(const struct list_node *member);
void raw_kill(struct list_node *member); /* reset it; the memory goes in its task */
void raw_destroy(struct list_node *member);
