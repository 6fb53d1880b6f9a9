/* tunnel/upgrade.h - the request that turns an HTTP connection into SPDY, and its answer
 *
 * Pure text, no I/O (facts: client-go transport/spdy, streaming/pkg/httpstream).
 */
#pragma once

#include "base/bufq.h"
#include "kube/api.h"

#define UPGRADE_ANSWER_MAX 16384

struct upgrade_request {
    const char *prefix;        /* path of the server's URL, "" or "/k8s" */
    const char *host;          /* Host header */
    const char *authorization; /* or NULL */
    const char *ns, *pod;
};

/* Append the request to `out`: POST .../portforward with Upgrade: SPDY/3.1. */
void upgrade_request_write(const struct upgrade_request *r, struct bufq *out);

/* Read the answer at the start of `in`, and take it out of there: what is left is SPDY.
 *
 * OK          101, and everything in it as it must be
 * ERR_AGAIN   not complete (`eof`: and nothing more will come, which is ERR_EOF)
 * other       refused: *ret says why, from the answer's status and body */
MUST_CHECK enum err upgrade_answer_read(struct bufq *in, bool eof, struct api_error *ret);
