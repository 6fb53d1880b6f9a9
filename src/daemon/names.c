/* daemon/names.c - the names that the settings define */
#include "daemon/names.h"

#include "serve/policy.h"

static enum err check_open(const struct config *c, const struct naming *n,
                           struct diag *why)
{
    const struct alias *a = n->aliases[n->alias_count - 1];

    if (policy_opens(c, a->target.ns))
        return OK;
    return diag_set(why, ERR_CONFIG,
                    "alias %s: namespace %.*s is closed by deny-namespace or "
                    "allow-namespace",
                    a->name, STR_ARG(a->target.ns));
}

enum err names_of(const struct config *config, struct naming *ret, struct diag *why)
{
    enum err e = OK;

    naming_init(ret, config->cluster_domain);
    for (size_t i = 0; !e && i < config->alias.count; i++) {
        const struct alias_text *a = &config->alias.at[i];
        struct str port = a->port ? str_of(a->port) : (struct str){ 0 };
        e = naming_add_alias(ret, str_of(a->name), str_of(a->target), port, why);
        if (!e)
            e = check_open(config, ret, why);
    }
    return e;
}
