/* control/control.h - the control socket of a running kube-tunnel
 *
 * A small JSON API over HTTP/1.1 on a Unix socket: see control/openapi.yaml.  Each connection
 * carries one request.  Only processes of the same user, and of root, are answered.  Nothing
 * that it returns is a secret, and nothing runs a command.
 *
 * Bounded: connections, bytes and time of a request.  A reader of events that does not read
 * loses events, which are counted; no request of a client waits for it.
 */
#pragma once

#include "control/parts.h"

struct control;
struct stream;

struct control *control_create(const struct control_parts *parts);
/* Take the name of the settings and listen.
 * ERR_IN_USE: another process has it, and *why names that one.  Others: place_find. */
MUST_CHECK enum err control_listen(struct control *c, const char *name, struct diag *why);
/* A client has connected; the stream is taken over. */
void control_accept(struct control *c, struct stream *client);
/* Removes the socket and ends all connections.  NULL accepted. */
void control_destroy(struct control *c);
