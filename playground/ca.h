/* playground/ca.h - the local CA: certificates made here, for here
 *
 * A certificate authority that lives in memory (EC P-256), and what it signs: servers
 * that speak TLS on this machine, and the users they know by certificate.  Everything
 * goes in and out as PEM text; where it is kept is the caller's business.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct local_ca;

/* The name must differ from the names of what it signs: equal ones look self-signed.
 * ERR_TLS: OpenSSL failed, which is not expected. */
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
    bool server; /* for servers, else for clients */
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
