/* playground/ca.h - a local certificate authority
 *
 * An authority in memory (EC P-256) signs certificates of TLS servers on this machine,
 * and of users that authenticate with one.  Input and output are PEM text; the caller
 * stores it.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct local_ca;

/* The name must differ from the subjects that it signs: a certificate with equal names
 * looks self-signed.  ERR_TLS: OpenSSL failed, which is not expected. */
MUST_CHECK enum err local_ca_create(const char *common_name, struct local_ca **ret,
                                    struct diag *why);
void local_ca_destroy(struct local_ca *ca); /* NULL accepted */

/* The authority's own certificate, for the trust store of clients; valid as long as ca. */
const char *local_ca_certificate(const struct local_ca *ca);

struct certificate_request {
    const char *common_name;
    const char *organization; /* Kubernetes: the group; NULL: none */
    const char *const
        *names;  /* DNS names and IP addresses, NULL at the end; may be NULL */
    bool server; /* true: for a server; false: for a client */
    unsigned days;
};

struct identity {
    char *certificate, *key; /* PEM, owned */
};

/* *ret is written only on OK; the caller finishes it. */
MUST_CHECK enum err local_ca_issue(const struct local_ca *ca,
                                   const struct certificate_request *request,
                                   struct identity *ret, struct diag *why);
void identity_finish(struct identity *i); /* zeroed accepted */
