/* kube/impersonation.h - acting as another user: as, as-uid, as-groups, as-user-extra */
#pragma once

#include "base/texts.h"
#include "kube/kubeconfig.h"

/* ERR_CONFIG: a uid, groups or extra without a user; values that are no header values. */
MUST_CHECK enum err impersonation_check(const struct kc_user *user, struct diag *why);

/* Add "Impersonate-User: jane" and so on; nothing for a user that does not impersonate. */
void impersonation_fields(const struct kc_user *user, struct texts *fields);
