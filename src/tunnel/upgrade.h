/* tunnel/upgrade.h - the request that turns an HTTP connection into SPDY, and its answer
 *
 * Pure text, no I/O.  Two transports for the same SPDY (facts: client-go transport/spdy and
 * tools/portforward/tunneling_dialer.go; KEP-4006):
 *   SPDY       POST, Upgrade: SPDY/3.1; the verb `create` of pods/portforward
 *   WEBSOCKET  GET, Upgrade: websocket; the verb `get`, and `create` too from 1.35 on
 */
#pragma once

#include "base/bufq.h"
#include "kube/api.h"

#define UPGRADE_ANSWER_MAX 16384

enum transport { TRANSPORT_KIND_SPDY, TRANSPORT_KIND_WEBSOCKET };

struct upgrade_request {
    enum transport transport;
    const char *key;     /* WEBSOCKET: 16 random bytes in base64 */
    const char *prefix;  /* path of the server's URL, "" or "/k8s" */
    const char *host;    /* Host header */
    char *const *fields; /* of the user, "Name: value"; NULL at the end */
    const char *ns, *pod;
};

/* Append the request to `out`. */
void upgrade_request_write(const struct upgrade_request *r, struct bufq *out);

/* Read the answer at the start of `in`, and take it out of there: what is left is SPDY.
 *
 * OK          101, and everything in it as it must be
 * ERR_AGAIN   not complete (`eof`: and nothing more will come, which is ERR_EOF)
 * other       refused: *ret has the reason, from the answer's status and body */
MUST_CHECK enum err upgrade_answer_read(struct bufq *in, bool eof,
                                        enum transport transport, struct api_error *ret);

/* Was it this transport that was refused (by the API server's version, or by a gateway that
 * knows no such upgrade), so that the other is worth a try?  A 403 concerns a verb,
 * and the other transport needs another one. */
bool upgrade_refused_transport(const struct api_error *e);
/* ... and is that worth remembering for all pods?  A 403 concerns one namespace, and a bare
 * 404 may be a kubelet that is just starting. */
bool upgrade_teaches(const struct api_error *e);
