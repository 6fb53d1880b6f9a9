/* serve/session.h - one client's connection, from its first byte to its last
 *
 * Private to serve/.
 */
#pragma once

#include "base/list.h"
#include "base/log.h"
#include "serve/visitor.h"

struct attempts;
struct client_status;
struct holder;
struct serve;
struct stream;

/* Takes the stream over, and a reference to from->exposed. */
void session_open(struct serve *serve, struct stream *client, const struct visitor *from);
/* The same for a client that has begun a request on an exposed port: its number is `id`'s,
 * and its first request gets the lease of `attempts`. */
void session_open_exposed(struct serve *serve, struct stream *client,
                          const struct visitor *from, struct log_id id,
                          struct attempts *attempts);
/* The same for a client whose TLS ends here: `client` is the stream over its connection, and
 * its handshake may be under way. */
void session_open_secure(struct serve *serve, struct stream *client,
                         const struct visitor *from, struct log_id id);
/* The same for a client whose ClientHello comes next. */
void session_open_hello(struct serve *serve, struct stream *client,
                        const struct visitor *from, struct log_id id);
/* The same for a client to which only what is in its `out` is still to be sent. */
void session_open_ending(struct serve *serve, struct stream *client,
                         const struct visitor *from, struct log_id id);
/* Close it if it is idle while the serve drains. */
void session_nudge(struct list_node *member);
/* Has the session of this holder a connection to that pod? */
bool session_uses_pod(const struct holder *h, const char *pod_key);
/* For status pages.  False: it is closed. */
bool session_status(const struct list_node *member, struct client_status *ret);
/* Reset what it does in namespaces that are closed by now. */
void session_close_denied(struct list_node *member);
const struct visitor *session_visitor(const struct list_node *member);
/* Reset it, with whatever runs in it; its memory is freed in this turn. */
void session_kill(struct list_node *member);
/* The same, memory included. */
void session_destroy(struct list_node *member);
