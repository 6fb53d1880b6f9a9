/* control/change_names.c - operations that add and remove exposed ports and aliases
 *
 * The rules are those of the settings --expose and --alias.
 */
#include "base/own.h"
#include "config/config.h"
#include "control/change.h"
#include "control/control_state.h"
#include "listen/listen.h"
#include "route/naming.h"
#include "serve/exposed.h"
#include "serve/policy.h"

#define EXPOSED_MAX                                                                      \
    512 /* sockets: 256 exposed ports on two addresses, as in the settings */
#define ALIASES_MAX 256

static const struct config *config_of(const struct operation *op)
{
    const struct control_orders *o = &op->control->parts.orders;
    return o->config(o->owner);
}

static struct listeners *listeners_of(const struct operation *op)
{
    const struct control_orders *o = &op->control->parts.orders;
    return o->listeners(o->owner);
}

static enum err refuse(struct answer *ret, enum err e, const struct diag *why,
                       const char *next)
{
    bool taken = e == ERR_IN_USE || e == ERR_ACCESS;

    answer_error(ret, taken ? 409 : 422, taken ? "not_available" : "invalid", next, "%s",
                 diag_text(why, e));
    return OK;
}

static enum err refuse_draining(struct answer *ret)
{
    answer_error(ret, 409, "draining", "kube-tunnel status",
                 "kube-tunnel does not accept new clients any more");
    return OK;
}

static enum err check_expose(const struct operation *op, const struct expose *x,
                             struct diag *why)
{
    AUTO(exposed_unrefp) struct exposed *exposed = NULL;
    const struct config *config = config_of(op);
    enum err e = exposed_create(x, str_of(config->cluster_domain), &exposed, why);

    if (e || policy_opens(config, exposed->route.name.ns))
        return e;
    return diag_set(why, ERR_CLOSED,
                    "expose %s:%s: its namespace is closed by deny-namespace or "
                    "allow-namespace",
                    x->name, x->port);
}

static enum err expose(const struct operation *op, struct expose *x, uint16_t *ret_port,
                       struct diag *why)
{
    struct listeners *l = listeners_of(op);

    x->any_host = json_is_true(json_object_get(op->body, "anyHost"));
    x->raw = json_is_true(json_object_get(op->body, "raw"));
    if (listeners_exposed(l) >= EXPOSED_MAX)
        return diag_set(why, ERR_LIMIT, "there are 256 exposed ports already");
    enum err e = check_expose(op, x, why);
    return e ? e
             : listeners_expose(l, x, str_of(config_of(op)->cluster_domain), ret_port,
                                why);
}

enum err change_expose(struct operation *op, struct answer *ret)
{
    const char *text = body_text(op, "expose");
    struct expose x = { 0 };
    struct diag why = { "" };
    uint16_t port = 0;

    if (!listeners_of(op))
        return refuse_draining(ret);
    enum err e = text ? expose_parse(str_of(text), &x, &why)
                      : diag_set(&why, ERR_CONFIG, "the field \"expose\" is missing");
    if (e)
        return refuse(ret, e, &why, "kube-tunnel expose db.shop:5432=15432");
    e = expose(op, &x, &port, &why);
    expose_finish(&x);
    if (e)
        return refuse(ret, e, &why, "kube-tunnel status");
    answer_json(ret, 201, json_pack("{s:i}", "port", port));
    return OK;
}

enum err change_unexpose(struct operation *op, struct answer *ret)
{
    uint64_t port = 0;

    if (!listeners_of(op))
        return refuse_draining(ret);
    if (str_to_uint(op->id, UINT16_MAX, &port) || !port ||
        !listeners_unexpose(listeners_of(op), (uint16_t)port)) {
        answer_error(ret, 404, "not_found", "kube-tunnel status",
                     "no exposed port has the local port %.*s",
                     STR_ARG(str_first(op->id, 64)));
        return OK;
    }
    answer_json(ret, 200, json_pack("{s:i}", "port", (int)port));
    return OK;
}

static enum err add_alias(const struct operation *op, const struct alias_text *a,
                          struct diag *why)
{
    struct naming *naming = op->control->parts.naming;
    struct str port = a->port ? str_of(a->port) : (struct str){ 0 };

    if (naming->alias_count >= ALIASES_MAX)
        return diag_set(why, ERR_LIMIT, "there are %d aliases already", ALIASES_MAX);
    enum err e = naming_add_alias(naming, str_of(a->name), str_of(a->target), port, why);
    if (e)
        return e;
    struct alias *added = naming->aliases[naming->alias_count - 1];
    added->added = true;
    if (policy_opens(config_of(op), added->target.ns))
        return OK;
    naming_remove_alias(naming, str_of(added->name));
    return diag_set(why, ERR_CLOSED,
                    "alias %s: its namespace is closed by deny-namespace or "
                    "allow-namespace",
                    a->name);
}

enum err change_add_alias(struct operation *op, struct answer *ret)
{
    const char *text = body_text(op, "alias");
    struct alias_text a = { 0 };
    struct diag why = { "" };
    enum err e = text ? alias_parse(str_of(text), &a, &why)
                      : diag_set(&why, ERR_CONFIG, "the field \"alias\" is missing");

    if (!e)
        e = add_alias(op, &a, &why);
    if (e)
        refuse(ret, e, &why, "kube-tunnel expose --alias front=web.shop:80");
    else
        answer_json(ret, 201, json_pack("{s:s}", "alias", a.name));
    alias_text_finish(&a);
    return OK;
}

enum err change_remove_alias(struct operation *op, struct answer *ret)
{
    AUTO_FREE char *name = str_dup(op->id);

    if (!naming_remove_alias(op->control->parts.naming, op->id)) {
        answer_error(ret, 404, "not_found", "kube-tunnel status",
                     "there is no alias %.64s", name);
        return OK;
    }
    json_t *whole = json_object();
    json_object_set_new(whole, "alias", json_text(name));
    answer_json(ret, 200, whole);
    return OK;
}
