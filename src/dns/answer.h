/* dns/answer.h - writes the records of an answer from what the catalog knows
 *
 * No look-ups and no I/O but for the function `address`.  The records are those of CoreDNS'
 * kubernetes plugin (decision 175), except that each A record has the loopback address that
 * addresses/ gives the service or endpoint.  Answers without records, and those for names that do
 * not exist, have the zone's SOA record in the authority section.
 */
#pragma once

#include "addresses/parts.h"
#include "dns/zone.h"
#include "wire/dns.h"

struct service;

#define ANSWER_TTL 5 /* seconds; also the minimum of the SOA record */

/* How addresses are found: addresses_open and addresses_owner; tests have others. */
struct address_source {
    enum err (*open)(void *owner, const struct address_key *key,
                     const struct service *service, struct in_addr *ret);
    bool (*owner_of)(void *owner, struct in_addr address, struct address_key *ret);
    void *owner;
};

struct answering {
    struct dns_response *response;
    const struct dns_query *query;
    const struct zone *zone; /* of the question */
    struct dns_spelled name; /* owner of the records: the question, or a CNAME's target */
    uint32_t serial;
    struct in_addr own; /* of ns.dns: where the question came in; 0: none */
    const struct address_source *addresses;
};

/* DNS_NOERROR: there are no records of the type; DNS_NXDOMAIN, DNS_SERVFAIL. */
void answer_without_records(struct answering *a, enum dns_rcode rcode);
/* A question for all records (RFC 8482). */
void answer_any(struct answering *a);

/* The answer does not depend on the cluster.  False: it does, and nothing was written. */
bool answer_fixed(struct answering *a, const struct subject *subject);
/* service: the SERVICE_POD that was found. */
void answer_pod(struct answering *a, const struct subject *subject,
                const struct service *service);

/* True: the answer is complete.  False: the service is an ExternalName, and the caller follows it
 * with answer_alias; nothing was written. */
bool answer_service(struct answering *a, const struct subject *subject,
                    const struct service *service);
/* Adds a CNAME from a->name to `target`, which becomes a->name. */
void answer_alias(struct answering *a, struct dns_spelled target);

/* The name that belongs to a loopback address; plain: the domain of names without a label.
 * False: it belongs to none, and nothing was written. */
bool answer_reverse(struct answering *a, const char *plain);
