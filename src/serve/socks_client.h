/* serve/socks_client.h - the request of a SOCKS client: read, judged, refused or routed
 *
 * Private to serve/.
 */
#pragma once

#include "serve/proxy_reply.h"
#include "serve/serve_state.h"
#include "serve/socks_greeting.h"

struct socks_client;

/* version: 4 or 5.  *wake wakes when the cluster's domain is known that a run waits for. */
struct socks_client *socks_client_create(unsigned version, struct task *wake);
void socks_client_destroy(struct socks_client *c); /* NULL accepted */
enum proxy_client socks_client_kind(const struct socks_client *c);

/* OK: *ret is where its bytes lead, with one reference, and the reply is still due.
 * ERR_AGAIN: more bytes are needed, or the cluster's domain.
 * else: it was refused in client->out, and that was logged. */
MUST_CHECK enum err socks_client_run(struct socks_client *c, struct serve *serve,
                                     struct stream *client, const struct visitor *from,
                                     struct log_id id, struct exposed **ret);
