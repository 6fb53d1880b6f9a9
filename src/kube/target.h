/* kube/target.h - one API server and how to reach it as one user
 *
 * What kubeconfig or the service account came to: plain values, nothing to interpret.
 * Immutable and shared once built.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct kubeconfig;
struct tls_identity;

/* Where credentials come from that are not written in the kubeconfig. */
enum credential_source { SOURCE_NONE, SOURCE_EXEC, SOURCE_OIDC };

struct kube_target {
    char
        *server; /* as configured, without a trailing slash: "https://1.2.3.4:6443/k8s" */
    char *host;  /* of server, without brackets */
    uint16_t port; /* of server, or the scheme's */
    char *prefix;  /* path of server: "" or "/k8s"; goes before every API path */
    bool tls;
    char *host_header; /* "host[:port]" as HTTP wants it */

    char *ca, *certificate, *key;                /* PEM text or NULL */
    char *ca_name, *certificate_name, *key_name; /* of each, for errors; NULL with it */
    struct tls_identity *identity;               /* of all these; NULL without tls */
    bool insecure;
    char *tls_server_name; /* or NULL: host */
    char *proxy;           /* or NULL: environment's; "" none */

    char *token, *token_file, *username, *password; /* or NULL */
    enum credential_source
        source; /* none where one of these, or a certificate, is there */

    /* Copies of the entries all that came from, file and line included; NULL for a service
     * account, and `user` NULL for a context whose user is not defined. */
    struct kc_cluster *cluster;
    struct kc_user *user;

    char *context; /* name, for people; "in-cluster" for a service account */
    char *ns;      /* default namespace */
    char *origin;  /* file it came from, for messages */
};

/* For a caller that fills in a target itself: make its identity, of what it has. */
MUST_CHECK enum err kube_target_set_identity(struct kube_target *t, struct diag *why);
void kube_target_destroy(struct kube_target *t); /* NULL accepted */
