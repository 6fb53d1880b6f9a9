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

/* No setting asks for it, and another kube-tunnel may listen there: it is no reason not to
 * serve. */
static enum err open_installed(struct dns_parts *parts, const struct config *config,
                               struct dns **ret)
{
    struct listen_address address;
    const struct listen_list list = { &address, find_installed(&address) ? 1 : 0 };
    struct diag why = { "" };

    parts->listen = &list;
    enum err e = dns_open(parts, config, ret, &why);
    if (e)
        log_warn(NO_ID, "cannot listen where dns install has the resolver ask",
                 LOG_S("reason", diag_text(&why, e)));
    return OK;
}

enum err dns_server_open(const struct dns_parts *parts, struct addresses *addresses,
                         const struct config *config, struct dns **ret, struct diag *why)
{
    struct dns_parts all = *parts;

    all.addresses = (struct address_source){ open_key, owner_of_address, addresses };
    *ret = NULL;
    all.listen = &config->dns_listen;
    return config->dns_listen.count ? dns_open(&all, config, ret, why)
                                    : open_installed(&all, config, ret);
}
