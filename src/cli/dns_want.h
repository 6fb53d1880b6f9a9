/* cli/dns_want.h - what kube-tunnel dns is to install, from flags, settings and the running one
 */
#pragma once

#include <jansson.h>

#include "cli/command.h"
#include "resolver/resolver.h"

/* Replaces in *w what flags name, and fills in what is missing.  Domains are those that the
 * running kube-tunnel serves, if one runs.  EXIT_OK or, after printing the error, EXIT_USAGE. */
MUST_CHECK int dns_want_fill(const struct args *a, struct resolver_want *w);
/* With the backend "hosts": what keeps names of the running kube-tunnel from being reached.  Each
 * sentence ends with what to do. */
void dns_hosts_problems(const struct args *a, const struct resolver_want *w,
                        struct texts *ret);
/* Domains that the running kube-tunnel serves; none: it does not run. */
void dns_served_domains(const struct args *a, struct texts *ret);
/* Ports of services that the running kube-tunnel does not listen on; a list, owned by the caller. */
json_t *dns_closed_ports(const struct args *a);
/* The command that does this with the right to, owned by the caller.  *w may be empty. */
char *dns_sudo_command(const struct args *a, const char *subcommand,
                       const struct resolver_want *w);
