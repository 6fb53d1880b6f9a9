/* serve/policy.h - which requests are allowed
 *
 * Programs on this machine are; web pages in a browser on this machine are not, unless they
 * are of the same namespace as the service or listed (decision 034).  And namespaces can be
 * closed to all.  Pure.
 */
#pragma once

#include "serve/target.h"

/* localhost, 127.0.0.0/8 or [::1]? */
bool policy_is_loopback(struct str host);

/* May requests reach this namespace? */
bool policy_opens(const struct config *config, struct str ns);

/* ERR_FORBIDDEN: *why says it all.  `target` is of this request, and valid. */
MUST_CHECK enum err policy_check(const struct rules *rules, const struct http1_head *head,
                                 const struct target *target, struct refusal *why);
