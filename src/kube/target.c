#include "kube/target.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/own.h"
#include "base/texts.h"
#include "kube/kubeconfig.h"
#include "net/tls_identity.h"

LOG_MODULE(kube);

void kube_target_destroy(struct kube_target *t)
{
    if (!t)
        return;
    char *const texts[] = { t->server,
                            t->host,
                            t->prefix,
                            t->host_header,
                            t->ca,
                            t->key,
                            t->proxy,
                            t->certificate,
                            t->token,
                            t->username,
                            t->password,
                            t->token_file,
                            t->context,
                            t->ns,
                            t->origin,
                            t->tls_server_name,
                            t->certificate_name,
                            t->key_name,
                            t->ca_name };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    tls_identity_unref(t->identity);
    kc_cluster_destroy(t->cluster);
    kc_user_destroy(t->user);
    free(t);
}

enum err kube_target_set_identity(struct kube_target *t, struct diag *why)
{
    struct tls_identity_settings settings = {
        .ca = { t->ca, t->ca_name },
        .certificate = { t->certificate, t->certificate_name },
        .key = { t->key, t->key_name },
        .insecure = t->insecure,
        .server_name = t->tls_server_name,
    };
    struct texts warnings = { 0 };

    if (!t->tls)
        return OK;
    enum err e = tls_identity_create(&settings, &t->identity, &warnings, why);
    for (size_t i = 0; !e && i < warnings.count; i++)
        log_warn(NO_ID, "kubeconfig", LOG_S("reason", warnings.at[i]));
    texts_finish(&warnings);
    return e;
}
