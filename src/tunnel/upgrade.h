/* tunnel/upgrade.h - the request that upgrades an HTTP connection to SPDY, and its response
 *
 * Pure text, no I/O.  Two transports carry the same SPDY (see client-go's transport/spdy and
 * tools/portforward/tunneling_dialer.go, and KEP-4006):
 *   SPDY       POST, Upgrade: SPDY/3.1; the verb `create` of pods/portforward
 *   WEBSOCKET  GET, Upgrade: websocket; the verb `get`, and `create` too from 1.35 on
 */
#pragma once

#include "base/bufq.h"
#include "kube/api.h"

#define UPGRADE_RESPONSE_MAX 16384

enum transport { TRANSPORT_KIND_SPDY, TRANSPORT_KIND_WEBSOCKET };

struct upgrade_request {
    enum transport transport;
    const char *key;     /* WEBSOCKET: 16 random bytes in base64 */
    const char *prefix;  /* path of the server's URL, "" or "/k8s" */
    const char *host;    /* Host header */
    char *const *fields; /* of the credential, "Name: value"; NULL at the end */
    const char *ns, *pod;
};

/* Append the request to `out`. */
void upgrade_request_write(const struct upgrade_request *r, struct bufq *out);

/* Remove the response from the start of `in` and parse it; the bytes after it are SPDY.
 *
 * OK          a 101 with the expected header fields
 * ERR_AGAIN   not complete
 * ERR_EOF     not complete, and with `eof` nothing more will be received
 * other       refused: *ret has the reason, from the response's status and body */
MUST_CHECK enum err upgrade_response_read(struct bufq *in, bool eof,
                                          enum transport transport,
                                          struct api_error *ret);

/* May the other transport work?  True if this one is not supported, by the API server's version
 * or by a gateway, and after a 403, since the other transport needs another verb. */
bool upgrade_refused_transport(const struct api_error *e);
/* Does the refusal apply to all pods, so that it is remembered?  A 403 concerns one namespace,
 * and a 404 without a Status may come from a kubelet that is just starting. */
bool upgrade_refusal_is_general(const struct api_error *e);
