/* tests/authorities.h - two certificate authorities, and servers with their certificates
 *
 * For tests of TLS. Needs playground/.
 */
#pragma once

#include "playground/ca.h"

struct tls_context;

extern struct local_ca *ca, *other_ca; /* between the two functions below */

/* Setup and teardown of a group. */
int authorities_make(void **state);
int authorities_drop(void **state);

struct offered {
    const char *name; /* in the certificate, which `by` signs */
    const struct local_ca *by;
    unsigned days;
    const char *alpn; /* or NULL */
};

/* A context of a server that has this certificate; with one owner. */
struct tls_context *context_of_server(const struct offered *offered);
