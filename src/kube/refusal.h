/* kube/refusal.h - explain why a request was sent without credentials
 *
 * Private to kube/ (see api_explain_refusal).
 */
#pragma once

#include "kube/api_error.h"
#include "kube/credential.h"

/* After a 401: prefix the error's text if the request was sent without credentials. */
void refusal_explain(const struct kube_target *target, const struct credential *shown,
                     struct api_error *e);
