#include "daemon/dns_server.h"

#include "addresses/addresses.h"
#include "base/log.h"
#include "base/own.h"
#include "config/address.h"
#include "config/config.h"
#include "daemon/process.h"
#include "resolver/resolver.h"

LOG_MODULE(daemon);

static enum err open_key(void *owner, const struct address_key *key,
                         const struct service *service, struct in_addr *ret)
{
    struct diag why = { "" };
    enum err e = addresses_open(owner, key, service, ret, &why);

    if (e)
        log_debug(NO_ID, "no address for a DNS answer", LOG_V("namespace", key->ns),
                  LOG_V("service", key->service), LOG_V("pod", key->pod),
                  LOG_S("reason", diag_text(&why, e)));
    return e;
}

static bool owner_of_address(void *owner, struct in_addr address, struct address_key *ret)
{
    return addresses_owner(owner, address, ret);
}

/* Where "kube-tunnel dns install" has the resolver send look-ups to. */
static bool find_installed(struct listen_address *ret)
{
    const struct machine here = { "" };
    AUTO_FREE char *server = NULL;
    uint16_t port;

    if (in_pod() || resolver_server(&here, &server, &port, NULL))
        return false;
    AUTO_FREE char *text = xasprintf("%s:%u", server, port);
    return listen_address_parse(str_of(text), ret, NULL) == OK;
}

struct dns_server {
    struct dns_parts parts;
    struct dns *dns; /* NULL: it listens nowhere */
};

struct dns_server_change {
    struct dns_server *server;
    bool close;                /* it listens nowhere from now on */
    struct dns_change *change; /* of the one that runs */
    struct dns *fresh;         /* where none runs */
};

static enum err open_fresh(struct dns_server_change *c, const struct listen_list *listen,
                           const struct config *config, struct diag *why)
{
    struct dns_parts parts = c->server->parts;

    parts.listen = listen;
    return dns_open(&parts, config, &c->fresh, why);
}

/* No setting wants the address, and another kube-tunnel may listen there: it is no reason not to
 * serve, nor to refuse other settings.  A wrong dns-forward is one. */
static enum err excuse(struct dns_server_change *c, enum err e, struct diag *why)
{
    if (str_starts(str_of(why->text), STR("dns-forward")))
        return e;
    log_warn(NO_ID, "cannot listen where dns install has the resolver ask",
             LOG_S("reason", diag_text(why, e)));
    c->close = true;
    return OK;
}

enum err dns_server_prepare(struct dns_server *s, const struct config *config,
                            struct dns_server_change **ret, struct diag *why)
{
    struct listen_address address;
    struct listen_list listen = config->dns_listen;
    struct dns_server_change *c = xcalloc(1, sizeof(*c));
    enum err e = OK;

    if (!listen.count)
        listen = (struct listen_list){ &address, find_installed(&address) ? 1 : 0 };
    c->server = s;
    c->close = !listen.count;
    if (listen.count)
        e = s->dns ? dns_prepare(s->dns, &listen, config, &c->change, why)
                   : open_fresh(c, &listen, config, why);
    if (e && !config->dns_listen.count)
        e = excuse(c, e, why);
    if (e)
        dns_server_discard(c);
    else
        *ret = c;
    return e;
}

void dns_server_commit(struct dns_server_change *c)
{
    struct dns_server *s = c->server;

    if (c->close)
        dns_close(TAKE(s->dns));
    if (c->change)
        dns_commit(TAKE(c->change));
    if (c->fresh)
        s->dns = TAKE(c->fresh);
    dns_server_discard(c);
}

void dns_server_discard(struct dns_server_change *c)
{
    if (!c)
        return;
    dns_discard(c->change);
    dns_close(c->fresh);
    free(c);
}

enum err dns_server_open(const struct dns_parts *parts, struct addresses *addresses,
                         const struct config *config, struct dns_server **ret,
                         struct diag *why)
{
    struct dns_server *s = xcalloc(1, sizeof(*s));
    struct dns_server_change *first;

    s->parts = *parts;
    s->parts.addresses = (struct address_source){ open_key, owner_of_address, addresses };
    enum err e = dns_server_prepare(s, config, &first, why);
    if (e) {
        dns_server_close(s);
        return e;
    }
    dns_server_commit(first);
    *ret = s;
    return OK;
}

void dns_server_close(struct dns_server *s)
{
    if (!s)
        return;
    dns_close(s->dns);
    free(s);
}

const struct dns *dns_server_dns(const struct dns_server *s)
{
    return s ? s->dns : NULL;
}
