/* serve/plain_server.h - a TLS connection to a server that does not speak TLS
 *
 * Such a client reports only that it got no TLS, so the log has the URL to use.  Private to
 * serve/.
 */
#pragma once

#include "base/log.h"
#include "serve/visitor.h"

struct lease;

/* The client of a raw connection speaks TLS, and the pod's first bytes are in the queue of the
 * lease's stream: logs a warning if they are not TLS.  from->exposed and the lease's endpoint are
 * set. */
void plain_server_look(const struct visitor *from, struct log_id id,
                       const struct lease *lease);
