/* daemon/dns_server.h - the DNS server of this process: where it listens, and its changes
 *
 * It listens where the settings say, or else where "kube-tunnel dns install" has the resolver
 * send look-ups to.  Without either there is none.
 */
#pragma once

#include "dns/dns.h"

struct addresses;
struct dns_server;
struct dns_server_change;

/* For how long the client of an answer may begin to connect: the answer's TTL, and some time to do
 * it. */
#define ADDRESS_PROMISED_MS (ANSWER_TTL * 1000 + 2500)

/* Borrows `addresses`, and what *parts borrows, until dns_server_close.  As dns_open; a failure
 * at an address that no setting wants is logged, and it listens nowhere. */
MUST_CHECK enum err dns_server_open(const struct dns_parts *parts,
                                    struct addresses *addresses,
                                    const struct config *config, struct dns_server **ret,
                                    struct diag *why);
void dns_server_close(struct dns_server *s);                  /* NULL accepted */
const struct dns *dns_server_dns(const struct dns_server *s); /* NULL accepted */

/* Binds what is new, and fails as dns_server_open.  The config is borrowed for the call. */
MUST_CHECK enum err dns_server_prepare(struct dns_server *s, const struct config *config,
                                       struct dns_server_change **ret, struct diag *why);
void dns_server_commit(struct dns_server_change *c);
void dns_server_discard(struct dns_server_change *c); /* NULL accepted */
