/* kube/credential.h - the header fields and TLS identity with which a request is sent
 *
 * Immutable and shared: a request keeps a reference to the one it was sent with, and passes its
 * generation to credentials_reject after a 401.  Never logged, never part of an error.
 */
#pragma once

#include <stdint.h>

#include "kube/target.h"

/* Bytes; longer credentials are not sent: they would not fit into the queue of a connection, and
 * servers refuse them. */
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

/* After a 401 or a failed connection: prefix *why with the expiry time if the token or
 * certificate has expired. */
void credential_explain(const struct credential *c, struct diag *why);
