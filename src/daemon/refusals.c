/* daemon/refusals.c - refuses settings that contradict each other */
#include "daemon/refusals.h"

#include "base/own.h"
#include "daemon/names.h"
#include "daemon/service_rules.h"
#include "serve/exposed.h"
#include "serve/policy.h"
#include "upstream/tls_rules.h"

static enum err check_exposed(const struct config *c, const struct expose *x,
                              struct diag *why)
{
    AUTO(exposed_unrefp) struct exposed *exposed = NULL;
    enum err e = exposed_create(x, str_of(c->cluster_domain), &exposed, why);

    if (e)
        return e;
    struct str ns = exposed->route.name.ns;
    if (policy_opens(c, ns))
        return OK;
    return diag_set(why, ERR_CONFIG,
                    "expose %s:%s: namespace %.*s is closed by deny-namespace or "
                    "allow-namespace",
                    x->name, x->port, STR_ARG(ns));
}

static enum err check_aliases(const struct config *c, struct diag *why)
{
    struct naming naming;
    enum err e = names_of(c, &naming, why);

    naming_finish(&naming);
    return e;
}

/* There it would be an open proxy into the network of the cluster. */
static enum err check_outside(const struct config *c, struct diag *why)
{
    if (!c->proxy_outside || !c->in_pod)
        return OK;
    return diag_set(why, ERR_CONFIG, "proxy-outside: not in a pod");
}

static enum err check_service_rules(const struct config *c, struct diag *why)
{
    AUTO(tls_rules_unrefp) struct tls_rules *rules = NULL;

    return service_rules_of(c, &rules, why);
}

enum err refusals_check(const struct config *c, struct diag *why)
{
    enum err e = check_aliases(c, why);
    if (!e)
        e = check_outside(c, why);
    for (size_t i = 0; !e && i < c->expose.count; i++)
        e = check_exposed(c, &c->expose.at[i], why);
    return e ? e : check_service_rules(c, why);
}
