#include "daemon/dns_server.h"

#include "addresses/addresses.h"
#include "base/log.h"

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

enum err dns_server_open(const struct dns_parts *parts, struct addresses *addresses,
                         const struct config *config, struct dns **ret, struct diag *why)
{
    struct dns_parts all = *parts;

    all.addresses = (struct address_source){ open_key, owner_of_address, addresses };
    return dns_open(&all, config, ret, why);
}
