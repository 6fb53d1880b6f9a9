#include "kube/refusal.h"

#include "kube/kubeconfig.h"
#include "net/tls_identity.h"

void refusal_explain(const struct kube_target *target, const struct credential *shown,
                     struct api_error *e)
{
    const struct kc_user *user = target->user;
    struct tls_identity *identity = shown->identity;

    if (e->code != ERR_UNAUTHORIZED || shown->fields[0] ||
        (identity && tls_identity_expiry(identity)))
        return;
    if (!user)
        diag_prefix(&e->why, e->code,
                    "no credentials were sent, since context \"%s\" has no user, or none "
                    "that is defined",
                    target->context);
    else if (!target->tls)
        diag_prefix(&e->why, e->code,
                    "no credentials were sent, as always where the server is http://");
    else
        diag_prefix(&e->why, e->code, "%s:%u: user \"%s\" has no credentials",
                    user->entry.file, user->entry.line, user->entry.name);
}
