/* dns/dns.h - the DNS server
 *
 * Answers questions about names of the clusters over UDP and TCP, with addresses of addresses/.
 * It listens on the given addresses only; "localhost" and no host are 127.0.0.1 and ::1.
 * Clients are not authenticated: each program that can send to the port learns which names
 * exist (decision 176).
 */
#pragma once

#include "dns/answer.h"

struct clusters;
struct config;
struct listen_list;
struct dns;
struct dns_change;
struct loop;
struct naming;

struct dns_parts {
    struct loop *loop;
    struct clusters *clusters;
    const struct naming *naming;
    bool (*is_open)(void *owner, struct str ns);
    void *owner;
    struct address_source addresses;
    const struct listen_list *listen; /* borrowed for the call */
};

/* All is borrowed until dns_close; the config only for the call.  *ret is NULL where parts->listen
 * is empty.
 * ERR_IN_USE, ERR_ACCESS, ERR_CONFIG, ERR_NO_FILES: *why begins with the setting, and names the
 * address and what to do; nothing is open. */
MUST_CHECK enum err dns_open(const struct dns_parts *parts, const struct config *config,
                             struct dns **ret, struct diag *why);
/* Questions without a response get none.  NULL accepted. */
void dns_close(struct dns *d);

/* A change has two steps: the first binds what is new and may fail, as dns_open; the second does
 * not fail.  A socket whose address is wanted before and after stays open; one that is not takes
 * its connections with it.  Questions that wait
 * for a server of --dns-forward that is given up get no response.  `listen` is not empty, and
 * borrowed for the call. */
MUST_CHECK enum err dns_prepare(struct dns *d, const struct listen_list *listen,
                                const struct config *config, struct dns_change **ret,
                                struct diag *why);
void dns_commit(struct dns_change *c);
void dns_discard(struct dns_change *c); /* NULL accepted */

/* For status pages; NULL accepted: there is nothing.  `address` is borrowed for the call. */
void dns_each_address(const struct dns *d, void (*each)(void *owner, const char *address),
                      void *owner);
size_t dns_waiting(const struct dns *d);
