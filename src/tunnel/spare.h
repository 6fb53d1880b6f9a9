/* tunnel/spare.h - one connection to the API server, made before anybody asks
 *
 * Private to tunnel/.  TCP and TLS take as long as the upgrade itself, and need to know
 * nothing of pods: at start they happen while the first look-ups do.  Kept SPARE_MS, which
 * is less than an API server waits for a request.
 */
#pragma once

#include "tunnel/tunnel.h"

#define SPARE_MS 20000

struct spare;

struct spare *spare_create(const struct tunnel_origin *origin);
void spare_destroy(struct spare *s); /* NULL accepted */

/* The stream, TLS perhaps still shaking hands, is the caller's; NULL: there is none that was
 * made with this identity. */
struct stream *spare_take(struct spare *s, const struct tls_identity *identity);
