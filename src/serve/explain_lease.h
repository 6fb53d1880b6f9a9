/* serve/explain_lease.h - make the text of a refusal that a lease or its stream has caused
 *
 * Private to serve/, but for explain_access.
 */
#pragma once

#include "serve/explanation.h"
#include "serve/refusal.h"

/* r->lease is set. */
void explain_lease(const struct refusal *r, struct explanation *ret);

/* Detail and hint about credentials that the API server does not accept (ERR_UNAUTHORIZED) or
 * that do not exist (ERR_CREDENTIALS); nothing about other results. */
void explain_access(enum err result, struct explanation *ret);
