/* tests/session/valid_credentials.c - kube/credentials.h where credentials are never missing
 *
 * Only the functions that a tunnel calls after a failure; the others are in the rig.
 */
#include "kube/credentials.h"

void credentials_on_tls_failure(struct credentials *c)
{
    (void)c;
}

void credential_explain(const struct credential *c, struct diag *why)
{
    (void)c, (void)why;
}

const char *credentials_plugin_output(const struct credentials *c)
{
    (void)c;
    return NULL;
}

bool credentials_are_missing(struct credentials *c, struct diag *why)
{
    (void)c, (void)why;
    return false;
}
