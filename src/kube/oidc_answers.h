/* kube/oidc_answers.h - build requests to an OpenID provider and parse its responses; pure text
 */
#pragma once

#include "base/str.h"
#include "kube/secret.h"

/* application/x-www-form-urlencoded: "name=value&name=value"; values NULL are left out. */
char *oidc_form(const char *const names[], const char *const values[], size_t count);
/* One value of it. */
char *oidc_escape(const char *text);

/* The token endpoint of a discovery document.  ERR_PROTO. */
MUST_CHECK enum err oidc_read_discovery(struct str text, bool secure, char **ret,
                                        struct diag *why);

/* Tokens; the refresh-token is NULL where there is no new one. */
struct oidc_tokens {
    char *id, *refresh;
};
void oidc_tokens_finish(struct oidc_tokens *t);
/* ERR_PROTO; ERR_CREDENTIALS: the provider refused, in its own words; ERR_GONE: and it was the
 * refresh-token that it refused. */
MUST_CHECK enum err oidc_read_tokens(int status, struct str text, struct oidc_tokens *ret,
                                     struct diag *why);
