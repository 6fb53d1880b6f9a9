/* kube/refusal.h - why the API server did not accept a request without credentials
 *
 * Private to kube/ (see api_explain_refusal).
 */
#pragma once

#include "kube/api_error.h"
#include "kube/credential.h"

/* After a 401: put before its text that there were no credentials to send, if so. */
void refusal_explain(const struct kube_target *target, const struct credential *shown,
                     struct api_error *e);
