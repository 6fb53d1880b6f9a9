/* serve/tls_client.h - a client that begins with TLS: to the service that its SNI names
 *
 * Reads the ClientHello where it lies, and leaves it in the queue: it goes to the service's
 * TLS port as it is, so that the handshake is between client and pod.  Private to serve/.
 */
#pragma once

#include "serve/serve_state.h"

struct tls_client;

/* *wake wakes when the cluster's domain is known that a run waits for. */
struct tls_client *tls_client_create(struct task *wake);
void tls_client_destroy(struct tls_client *c); /* NULL accepted */

/* OK: *ret is where its bytes lead, with one reference.
 * ERR_AGAIN: more bytes are needed, or the cluster's domain.
 * else: it was refused by an alert in client->out, and that was logged. */
MUST_CHECK enum err tls_client_run(struct tls_client *c, struct serve *serve,
                                   struct stream *client, const struct visitor *from,
                                   struct log_id id, struct exposed **ret);

/* Log why the handshake of a client whose TLS ends here has failed, if it has. */
void tls_client_log_failure(const struct stream *client, const struct visitor *from,
                            struct log_id id);
