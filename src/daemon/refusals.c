/* daemon/refusals.c - settings that ask for what cannot be done, or contradict each other */
#include "daemon/refusals.h"

#include "base/own.h"
#include "config/setting.h"
#include "daemon/names.h"
#include "serve/exposed.h"
#include "serve/policy.h"

static enum err refuse(const struct config *config, enum setting_id id, struct diag *why)
{
    const struct setting *s = &settings[id];
    AUTO_FREE char *value = setting_print(s, config);
    AUTO_FREE char *origin = setting_origin(s, config);

    return diag_set(why, ERR_CONFIG, "%s=%s (%s) is not available in this version",
                    s->name, value, origin);
}

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

enum err refusals_check(const struct config *c, struct diag *why)
{
    if (c->upstream == UPSTREAM_DIRECT)
        return refuse(c, SETTING_upstream, why);
    enum err e = check_aliases(c, why);
    for (size_t i = 0; !e && i < c->expose.count; i++)
        e = check_exposed(c, &c->expose.at[i], why);
    return e;
}
