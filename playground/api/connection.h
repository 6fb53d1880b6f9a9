/* playground/api/connection.h - a client's connection to the API server
 *
 * HTTP/1.1 over any stream, request by request, until a request starts a watch, or passes
 * the stream to a port-forward session.
 */
#pragma once

#include "playground/cluster.h"
#include "playground/drop.h"

struct connection;

/* Takes over the stream.  A trusted connection needs no token, and faults do not affect
 * it. */
void connection_open(struct cluster *c, struct stream *stream, bool trusted);
/* Closes all connections; unless how is DROP_ORDERLY, trusted ones stay open. */
void connections_drop(struct cluster *c, enum drop how);
/* The fault `blackhole` began or ended. */
void connections_wake(struct cluster *c);
