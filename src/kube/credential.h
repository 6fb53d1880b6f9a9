/* kube/credential.h - what one request to the API server shows of its user
 *
 * Immutable and shared: a request keeps the one it was sent with, and names its generation
 * when the server does not accept it.  Never logged, never in an error.
 */
#pragma once

#include <stdint.h>

#include "kube/target.h"

struct credential {
    unsigned refs;
    uint64_t generation; /* rises from 1, per struct credentials */
    char **
        fields; /* "Authorization: Bearer ...", "Impersonate-User: ..."; NULL at the end */
};

/* authorization: "Bearer ..." or "Basic ...", or NULL; copied. */
struct credential *credential_create(const struct kube_target *target,
                                     const char *authorization, uint64_t generation);
struct credential *credential_ref(struct credential *c);
void credential_unref(struct credential *c); /* NULL accepted; the secrets are wiped */
