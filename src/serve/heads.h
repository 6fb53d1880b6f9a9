/* serve/heads.h - write heads for the next hop: the same lines, without hop-by-hop fields
 *
 * Pure: a parsed head in, bytes out.  Field lines that stay are written as they came, in
 * order, adjacent ones in one copy.  Each is written whole (http/whole.h).
 */
#pragma once

#include "base/bufq.h"
#include "serve/target.h"
#include "wire/http1.h"

/* The request for the pod, always in HTTP/1.1.  `forwarded_for` is the client's address
 * for a Forwarded field (RFC 7239); NULL: none is added. */
void request_head_write(const struct http1_head *head, const struct target *target,
                        const char *forwarded_for, struct bufq *out);

struct answer_form {
    bool decode;         /* the chunked coding is removed, and not named */
    bool close;          /* the connection is closed after this response */
    bool say_keep_alive; /* HTTP/1.0 needs Connection: keep-alive */
};

/* The response for the client.  Of 1xx only a 101 has a Connection field. */
void answer_head_write(const struct http1_head *head, const struct answer_form *form,
                       struct bufq *out);
