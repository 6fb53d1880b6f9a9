/* upstream/tls_rules.h - how the certificates of services are verified
 *
 * Made from the settings `tls-ca` and `tls`, before it is shared; immutable and
 * reference-counted from then on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/pem_text.h"

struct tls_rules;
struct tls_trust;

#define TLS_RULE_PIN_SIZE 32

/* Of one service. */
struct tls_rule {
    char *service;           /* "shop/web" */
    char *server_name;       /* expected in place of the service's names; or NULL */
    struct tls_trust *trust; /* in place of the authorities of all services; or NULL */
    bool unverified;         /* any certificate is accepted */
    bool has_pin;            /* only the certificate with this SHA-256 is accepted */
    uint8_t pin[TLS_RULE_PIN_SIZE];
};

struct tls_rules *tls_rules_create(void);
struct tls_rules *tls_rules_ref(struct tls_rules *r); /* NULL stays NULL */
void tls_rules_unref(struct tls_rules *r);            /* NULL accepted */
static inline void tls_rules_unrefp(struct tls_rules **r)
{
    tls_rules_unref(*r);
}

/* Trust these authorities for all services; the text is copied.  ERR_TLS: it is not valid. */
MUST_CHECK enum err tls_rules_add_authorities(struct tls_rules *r,
                                              const struct tls_pem *pem,
                                              struct diag *why);
/* Add the rule of a service: its texts and its reference are copied.  `ca` (may be NULL)
 * becomes its trust.  ERR_TLS: that is not valid. */
MUST_CHECK enum err tls_rules_add(struct tls_rules *r, const struct tls_rule *rule,
                                  const struct tls_pem *ca, struct diag *why);

/* NULL: the service has no rule. */
const struct tls_rule *tls_rules_find(const struct tls_rules *r, const char *ns,
                                      const char *service);
/* The authorities for services without a trust of their own: the system's, the added ones, and
 * those of the cluster (`cluster.text` may be NULL).  The caller's reference. */
struct tls_trust *tls_rules_trust(const struct tls_rules *r,
                                  const struct tls_pem *cluster);
