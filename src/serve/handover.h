/* serve/handover.h - a connection of one kind goes on as the other kind
 *
 * A session becomes a raw connection after a SOCKS or CONNECT request or a ClientHello, and a
 * raw connection becomes a session when its client begins with HTTP/1, or its TLS ends here.  serve.c fills in the table, so that
 * neither of the two includes the other.  Each function takes the stream over.  Private to
 * serve/.
 */
#pragma once

#include "base/log.h"
#include "serve/proxy_reply.h"
#include "serve/visitor.h"

struct attempts;
struct serve;
struct stream;

struct handover {
    /* serve/session.h */
    void (*to_session)(struct serve *serve, struct stream *client,
                       const struct visitor *from, struct log_id id,
                       struct attempts *attempts);
    void (*to_ending)(struct serve *serve, struct stream *client,
                      const struct visitor *from, struct log_id id);
    void (*to_hello)(struct serve *serve, struct stream *client,
                     const struct visitor *from, struct log_id id);
    /* serve/raw.h */
    void (*to_raw)(struct serve *serve, struct stream *client, const struct visitor *from,
                   struct log_id id, enum proxy_client due);
    void (*to_leased)(struct serve *serve, struct stream *client,
                      const struct visitor *from, struct log_id id,
                      struct attempts *attempts);
    /* serve/terminate.h */
    void (*to_terminated)(struct serve *serve, struct stream *client,
                          const struct visitor *from, struct log_id id, struct str host);
};
