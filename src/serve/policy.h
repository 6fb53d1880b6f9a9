/* serve/policy.h - which requests are allowed
 *
 * Programs on this machine are; web pages in a browser on this machine are not, unless they
 * are of the same namespace as the service or listed (decision 034).  And namespaces can be
 * closed to all.  Pure.
 */
#pragma once

#include "serve/target.h"

/* May requests reach this namespace? */
bool policy_opens(const struct config *config, struct str ns);

/* The request is a browser's, and of no page that is listed or on loopback: an ExternalName
 * leads it to no other namespace.  Not even on the host that it asks for: whoever may write
 * the Service has served a page under that name, and could read the answer with it. */
bool policy_stays_in_namespace(const struct rules *rules, const struct http1_head *head,
                               const struct target *target);

/* Does the request come from a browser, by its fields? */
bool policy_is_browser(const struct http1_head *head);

/* ERR_FORBIDDEN: *why is the refusal.  `target` is of this request, and valid. */
MUST_CHECK enum err policy_check(const struct rules *rules, const struct http1_head *head,
                                 const struct target *target, struct refusal *why);
