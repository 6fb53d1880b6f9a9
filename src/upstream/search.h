/* upstream/search.h - the service, pod or Deployment that a route leads to
 *
 * Private to upstream/.  One look-up in the catalog, or several in a row where ExternalNames
 * are followed.  `lookup` has the result of the last one; after the result, `wake` is woken
 * for each change of what was found.
 */
#pragma once

#include "catalog/address_owner.h"
#include "upstream/external.h"

struct search {
    struct catalog *catalog;       /* borrowed, like the next two */
    const struct route *requested; /* the route of the request */
    struct task *wake;
    struct lookup lookup;
    struct external external; /* the route after ExternalNames, or from an address */
    struct address_owner
        *owner; /* the service or pod with the IP address that the request
                                    names (NAME_ADDRESS); owned; or NULL */
};

/* Set the parameters; `s` is zeroed, or finished. */
void search_prepare(struct search *s, struct catalog *catalog,
                    const struct route *requested, struct task *wake);
/* Set the parameters and look up.  The result may be known when this returns. */
void search_start(struct search *s, struct catalog *catalog,
                  const struct route *requested, uint64_t max_age_ms, struct task *wake);
/* Look up `requested` again, since the targets of ExternalNames may have changed. */
void search_again(struct search *s, uint64_t max_age_ms);
void search_end_lookup(struct search *s); /* no further wakes for changes */
void search_finish(struct search *s);     /* idempotent; zeroed accepted */

/* The route that `lookup` is for: the request's, or that of the last target. */
const struct route *search_route(const struct search *s);
bool search_was_redirected(const struct search *s); /* an ExternalName or address */

/* The request names an IP address, and its owner is not looked up yet. */
bool search_is_at_address(const struct search *s);
/* Look up the service or pod that has the address: ERR_AGAIN while its name is not known.
 * ERR_CLOSED: its namespace is closed.  Other failures are those of `owner`. */
MUST_CHECK enum err search_follow_address(struct search *s,
                                          const struct external_rules *rules,
                                          uint64_t max_age_ms, struct diag *why);

/* The look-up has found an ExternalName that has to be followed. */
bool search_is_at_alias(const struct search *s);
/* Look up its target; failures are those of external_follow. */
MUST_CHECK enum err search_follow(struct search *s, const struct external_rules *rules,
                                  bool same_ns, uint64_t max_age_ms, struct diag *why);
