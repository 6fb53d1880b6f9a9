/* daemon/dns_server.h - the DNS server, with the addresses of this process */
#pragma once

#include "dns/dns.h"

struct addresses;

/* As dns_open, on the addresses of the setting dns-listen, or without one on that of the resolver
 * where one is installed (kube-tunnel dns); `addresses` is borrowed until dns_close, and
 * parts->addresses and parts->listen are set here. */
MUST_CHECK enum err dns_server_open(const struct dns_parts *parts,
                                    struct addresses *addresses,
                                    const struct config *config, struct dns **ret,
                                    struct diag *why);
