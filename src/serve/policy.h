/* serve/policy.h - who may send which request
 *
 * Anybody on this machine may; a web page somebody opened in a browser here may not,
 * unless it comes from the cluster itself.  And namespaces can be closed to all.  Pure.
 */
#pragma once

#include "config/config.h"
#include "serve/errors.h"

/* localhost, something.localhost, 127.0.0.0/8 or [::1]? */
bool policy_is_loopback(struct str host);

/* May requests reach this namespace? */
bool policy_opens(const struct config *config, struct str ns);

/* ERR_FORBIDDEN: *why says it all.  `name` is what the request is for, not invalid. */
MUST_CHECK enum err policy_check(const struct config *config,
                                 const struct http1_head *head, const struct name *name,
                                 struct refusal *why);
