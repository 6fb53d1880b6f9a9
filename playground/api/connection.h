/* playground/api/connection.h - a client's connection to the API server
 *
 * HTTP/1.1 over any stream, request by request, until one of them turns it into a watch
 * or hands the stream over to a port-forward session.
 */
#pragma once

#include "playground/cluster.h"
#include "playground/drop.h"

struct connection;

/* Takes the stream over.  A trusted one needs no token, and misbehaviour passes it by. */
void connection_open(struct cluster *c, struct stream *stream, bool trusted);
/* Drop all of them; unless it is orderly, the trusted ones stay. */
void connections_drop(struct cluster *c, enum drop how);
/* The black hole opened or closed. */
void connections_wake(struct cluster *c);
