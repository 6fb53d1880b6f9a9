/* net/tls_context.h - what the TLS connections to one peer share
 *
 * One struct tls_context per cluster: identity and session cache.  It is reference counted: each
 * of its streams holds a reference.  net/tls_ssl.h has what needs OpenSSL's types.
 */
#pragma once

#include <stdbool.h>

struct tls_context;
struct tls_identity;

/* For a client with the authorities and the certificate of `i`, to which a reference is
 * held.  alpn: one protocol to offer, for instance "http/1.1", or NULL. */
struct tls_context *tls_context_of(struct tls_identity *i, const char *alpn);
bool tls_context_is_of(const struct tls_context *c, const struct tls_identity *i);
/* The same for a proxy that is connected to over TLS: the system's authorities are
 * trusted, too, and no client certificate is sent. */
struct tls_context *tls_context_of_proxy(struct tls_identity *i);
struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context *c); /* NULL accepted */
