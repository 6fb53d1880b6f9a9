/* serve/terminate.h - TLS of a client ends here, because its service has no TLS port
 *
 * The certificate is the local CA's (ca/leaves.h).  From then on the client is served by a
 * session, like one without TLS.  Private to serve/.
 */
#pragma once

#include "base/log.h"
#include "serve/visitor.h"

struct serve;
struct stream;

/* Takes the stream over, whose queue begins with a ClientHello for `host`.  Where there is no
 * certificate for it the client gets an alert, and the log the reason. */
void terminate_open(struct serve *serve, struct stream *client,
                    const struct visitor *from, struct log_id id, struct str host);
