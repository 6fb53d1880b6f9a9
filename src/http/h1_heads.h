/* http/h1_heads.h - heads as HTTP/1 passes them on: the same lines, but for what ends at this hop
 *
 * Pure: a parsed head in, bytes out.  Field lines that stay are written as they came, in
 * order, adjacent ones in one copy.  Each is written whole (http/whole.h).
 */
#pragma once

#include "base/bufq.h"
#include "http/message.h"

/* The request for the pod, always in HTTP/1.1. */
void h1_request_write(const struct http1_head *head, const struct request_form *form,
                      struct bufq *out);

struct h1_answer_form {
    bool decode;         /* the chunked coding is taken off: no word of it */
    bool chunks;         /* ... or is put on */
    bool close;          /* the connection ends after this answer */
    bool say_keep_alive; /* HTTP/1.0 expects it */
};

/* The answer for the client.  A 1xx has nothing about the connection, but 101. */
void h1_answer_write(const struct http1_head *head, const struct h1_answer_form *form,
                     struct bufq *out);
