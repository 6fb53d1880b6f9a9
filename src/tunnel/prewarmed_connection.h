/* tunnel/prewarmed_connection.h - one connection to the API server, made before a dial needs it
 *
 * Private to tunnel/.  TCP and TLS handshakes take as long as the upgrade itself, and do not
 * depend on the pod: at start they run beside the first look-ups.  The connection is kept for
 * PREWARMED_MS, which is less than an API server waits for a request.
 */
#pragma once

#include "tunnel/origin.h"

#define PREWARMED_MS 20000

struct prewarmed_connection;

struct prewarmed_connection *prewarmed_connection_create(struct tunnel_origin *origin);
void prewarmed_connection_destroy(struct prewarmed_connection *s); /* NULL accepted */

/* The stream, owned by the caller; its TLS handshake may not be complete.  NULL: there is none
 * that was made with this identity. */
struct stream *prewarmed_connection_take(struct prewarmed_connection *s,
                                         const struct tls_identity *identity);
