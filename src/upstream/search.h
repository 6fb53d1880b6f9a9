/* upstream/search.h - the service, pod or Deployment that a route leads to
 *
 * Private to upstream/.  One look-up in the catalog, or several in a row where ExternalNames
 * lead to other names.  `lookup` has the result of the last one, and after it wakes for each
 * change of what was found.
 */
#pragma once

#include "catalog/address_owner.h"
#include "upstream/external.h"

struct search {
    struct catalog *catalog;       /* borrowed, like the next two */
    const struct route *requested; /* the route of the request */
    struct task *wake;
    struct lookup lookup;
    struct external external;    /* where ExternalNames, or an address, have led */
    struct address_owner *owner; /* of a NAME_ADDRESS; owned; NULL: there is none */
};

/* Set what it is for; `s` is zeroed, or finished. */
void search_prepare(struct search *s, struct catalog *catalog,
                    const struct route *requested, struct task *wake);
/* The same, and look up.  The result may be there when it returns. */
void search_start(struct search *s, struct catalog *catalog,
                  const struct route *requested, uint64_t max_age_ms, struct task *wake);
/* From the beginning: ExternalNames may lead elsewhere by now. */
void search_again(struct search *s, uint64_t max_age_ms);
void search_end_lookup(struct search *s); /* what was found is of no interest any more */
void search_finish(struct search *s);     /* idempotent; zeroed accepted */

/* The route that `lookup` is for: the request's, or where an ExternalName has led. */
const struct route *search_route(const struct search *s);
bool search_was_led(const struct search *s); /* by an ExternalName */

/* It looks for the owner of an address. */
bool search_is_at_address(const struct search *s);
/* Look the owner up, once it is known: ERR_AGAIN while it is not.  ERR_CLOSED: its namespace
 * is closed.  Other failures are those of `owner`. */
MUST_CHECK enum err search_follow_address(struct search *s,
                                          const struct external_rules *rules,
                                          uint64_t max_age_ms, struct diag *why);

/* The look-up has found an ExternalName that has to be followed. */
bool search_is_at_alias(const struct search *s);
/* Look up what it is another name of; failures are those of external_follow. */
MUST_CHECK enum err search_follow(struct search *s, const struct external_rules *rules,
                                  bool same_ns, uint64_t max_age_ms, struct diag *why);
