/* daemon/service_rules.c - the settings `tls-ca` and `tls`, with the files that they name */
#include "daemon/service_rules.h"

#include <string.h>

#include "base/file.h"
#include "base/own.h"
#include "config/setting.h"
#include "upstream/tls_rules.h"

#define AUTHORITIES_MAX (4u << 20) /* bytes: twenty times the authorities of a system */

static enum err read_pem(const char *path, char **ret, struct diag *why)
{
    size_t len;

    return file_read_regular(path, AUTHORITIES_MAX, ret, &len, why);
}

static enum err add_authorities(struct tls_rules *rules, const char *path,
                                struct diag *why)
{
    AUTO_FREE char *text = NULL;
    enum err e = read_pem(path, &text, why);

    return e ? e : tls_rules_add_authorities(rules, &(struct tls_pem){ text, path }, why);
}

static enum err add_rule(struct tls_rules *rules, const struct service_tls *s,
                         struct diag *why)
{
    AUTO_FREE char *text = NULL;
    struct tls_rule rule = {
        .service = s->service,
        .server_name = s->server_name,
        .unverified = s->unverified,
        .has_pin = s->has_pin,
    };
    enum err e = s->ca ? read_pem(s->ca, &text, why) : OK;
    struct tls_pem ca = { text, s->ca };

    memcpy(rule.pin, s->pin, sizeof(rule.pin));
    if (!e)
        e = tls_rules_add(rules, &rule, s->ca ? &ca : NULL, why);
    return e ? diag_prefix(why, e, "%s: ca", s->service) : OK;
}

static enum err add_all(struct tls_rules *rules, const struct config *c,
                        enum setting_id *ret_of, struct diag *why)
{
    enum err e = OK;

    *ret_of = SETTING_tls_ca;
    for (size_t i = 0; !e && i < c->tls_ca.count; i++)
        e = add_authorities(rules, c->tls_ca.at[i], why);
    if (e)
        return e;
    *ret_of = SETTING_tls;
    for (size_t i = 0; !e && i < c->tls.count; i++)
        if (service_tls_verifies(&c->tls.at[i]))
            e = add_rule(rules, &c->tls.at[i], why);
    return e;
}

enum err service_rules_of(const struct config *c, struct tls_rules **ret,
                          struct diag *why)
{
    AUTO(tls_rules_unrefp) struct tls_rules *rules = tls_rules_create();
    enum setting_id of;

    if (add_all(rules, c, &of, why)) {
        AUTO_FREE char *origin = setting_origin(&settings[of], c);
        return diag_prefix(why, ERR_CONFIG, "%s (%s)", settings[of].name, origin);
    }
    *ret = TAKE(rules);
    return OK;
}
