/* serve/forwarded.h - what a pod learns of the client's connection
 *
 * The value of a Forwarded field (RFC 7239).  Pure.
 */
#pragma once

#include "serve/target.h"

#define FORWARDED_ROOM 512

struct forwarding {
    const char *address; /* the client's, for a Forwarded field; NULL: none is added */
    bool tls;            /* TLS of the client ends here: X-Forwarded-Proto is https */
    struct str trace;    /* of a traceparent field; empty: none is added */
};

/* The host is left out where it does not fit. */
struct str forwarded_value(const struct http1_head *head, const struct target *target,
                           const struct forwarding *f, char room[FORWARDED_ROOM]);
