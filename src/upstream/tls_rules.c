/* upstream/tls_rules.c - how the certificates of services are verified */
#include "upstream/tls_rules.h"

#include <string.h>

#include "base/own.h"
#include "base/texts.h"
#include "net/tls_trust.h"

struct tls_rules {
    unsigned refs;
    struct tls_rule *rules;
    size_t count;
    char **authorities; /* PEM texts, which were valid when they were added */
    size_t authority_count;
};

struct tls_rules *tls_rules_create(void)
{
    struct tls_rules *r = xcalloc(1, sizeof(*r));

    r->refs = 1;
    return r;
}

struct tls_rules *tls_rules_ref(struct tls_rules *r)
{
    if (r)
        r->refs++;
    return r;
}

static void rule_finish(struct tls_rule *rule)
{
    free(rule->service);
    free(rule->server_name);
    tls_trust_unref(rule->trust);
}

void tls_rules_unref(struct tls_rules *r)
{
    if (!r || --r->refs)
        return;
    for (size_t i = 0; i < r->count; i++)
        rule_finish(&r->rules[i]);
    for (size_t i = 0; i < r->authority_count; i++)
        free(r->authorities[i]);
    free(r->rules);
    free(r->authorities);
    free(r);
}

enum err tls_rules_add_authorities(struct tls_rules *r, const struct tls_pem *pem,
                                   struct diag *why)
{
    AUTO(tls_trust_unrefp) struct tls_trust *trial = tls_trust_create(false);
    enum err e = tls_trust_add(trial, pem, why);

    if (e)
        return e;
    r->authorities =
        xrealloc(r->authorities, (r->authority_count + 1) * sizeof(*r->authorities));
    r->authorities[r->authority_count++] = xstrdup(pem->text);
    return OK;
}

enum err tls_rules_add(struct tls_rules *r, const struct tls_rule *rule,
                       const struct tls_pem *ca, struct diag *why)
{
    AUTO(tls_trust_unrefp)
    struct tls_trust *trust = ca ? tls_trust_create(false) : tls_trust_ref(rule->trust);
    enum err e = ca ? tls_trust_add(trust, ca, why) : OK;

    if (e)
        return e;
    r->rules = xrealloc(r->rules, (r->count + 1) * sizeof(*r->rules));
    struct tls_rule *added = &r->rules[r->count++];
    *added = *rule;
    added->service = xstrdup(rule->service);
    added->server_name = xstrdup_or_null(rule->server_name);
    added->trust = TAKE(trust);
    return OK;
}

static bool is_of(const struct tls_rule *rule, const char *ns, const char *service)
{
    size_t len = strlen(ns);

    return strncmp(rule->service, ns, len) == 0 && rule->service[len] == '/' &&
           strcmp(rule->service + len + 1, service) == 0;
}

const struct tls_rule *tls_rules_find(const struct tls_rules *r, const char *ns,
                                      const char *service)
{
    for (size_t i = 0; i < r->count; i++)
        if (is_of(&r->rules[i], ns, service))
            return &r->rules[i];
    return NULL;
}

struct tls_trust *tls_rules_trust(const struct tls_rules *r,
                                  const struct tls_pem *cluster)
{
    struct tls_trust *trust = tls_trust_create(true);
    enum err e = OK;

    for (size_t i = 0; !e && i < r->authority_count; i++)
        e = tls_trust_add(trust, &(struct tls_pem){ r->authorities[i], "tls-ca" }, NULL);
    /* a text without a certificate adds nothing, and has been reported with the kubeconfig */
    if (!e && cluster->text)
        e = tls_trust_add(trust, cluster, NULL);
    (void)e;
    return trust;
}
