/* kube/credential.h - what one request to the API server shows of its user
 *
 * Immutable and shared: a request keeps the one it was sent with, and names its generation
 * when the server does not accept it.  Never logged, never in an error.
 */
#pragma once

#include <stdint.h>

#include "kube/target.h"

/* Longer ones are not sent: with the rest of a request they would not fit into the queue of a
 * connection, and no server takes them. */
#define CREDENTIAL_MAX (60u << 10)

struct credential {
    unsigned refs;
    uint64_t generation;           /* rises from 1, per struct credentials */
    struct tls_identity *identity; /* for the connection; NULL: plain http */
    int64_t expires_at;            /* of the token, if it is a JWT; ms, wall clock */
    size_t length;                 /* of all fields */
    /* "Authorization: Bearer ...", "Impersonate-User: ..."; NULL at the end */
    char **fields;
};

/* authorization: "Bearer ..." or "Basic ...", or NULL; copied.  The identity is shared. */
struct credential *credential_create(const struct kube_target *target,
                                     const char *authorization,
                                     struct tls_identity *identity, uint64_t generation);
struct credential *credential_ref(struct credential *c);
void credential_unref(struct credential *c); /* NULL accepted; the secrets are wiped */

/* It was not accepted, or a connection failed: put in front of *why that it has expired, if
 * its token or certificate shows that. */
void credential_explain(const struct credential *c, struct diag *why);
