/* bench/load/answer.h - reads HTTP/1.1 responses, as far as a load generator needs it
 *
 * Reports when an answer is complete and its status; counts the body and keeps nothing of
 * it.  Deliberately not wire/http1: the load generator does not share the parser of the
 * program it measures.  Bodies need a Content-Length; chunked ones are refused
 * (ERR_PROTO), because nothing that is measured sends them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ANSWER_HEAD_MAX 4096

struct answer {
    char head[ANSWER_HEAD_MAX];
    size_t head_len;
    bool in_body;
    int status;    /* valid once in_body is set */
    bool closes;   /* the server will take no other request on this connection */
    uint64_t left; /* of the body */
    uint64_t body; /* bytes of it that came */
};

void answer_init(struct answer *a);

/* Take the next n bytes.
 *
 * OK         the answer is complete, and nothing came after it
 * ERR_AGAIN  not complete
 * ERR_PROTO  not an answer that can be counted, or more bytes than one answer */
MUST_CHECK enum err answer_feed(struct answer *a, const char *bytes, size_t n);
