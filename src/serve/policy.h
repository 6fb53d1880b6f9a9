/* serve/policy.h - which requests are allowed
 *
 * Requests of programs on this machine are; those of web pages in a browser are not, unless
 * the page is of the same namespace as the service or listed (decision 034).  Namespaces can
 * be closed for all requests.  Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

struct name;
struct config;
struct http1_head;
struct refusal;
struct rules;
struct target;

/* May requests reach this namespace? */
bool policy_opens(const struct config *config, struct str ns);

/* The request is a browser's, and of no page that is listed or on loopback: an ExternalName
 * leads it to no other namespace.  Not even where the page is of the host that is requested:
 * the author of the Service may have served it under that name, to read the response. */
bool policy_stays_in_namespace(const struct rules *rules, const struct http1_head *head,
                               const struct target *target);

/* Does the request come from a browser, by its fields? */
bool policy_is_browser(const struct http1_head *head);

/* May this client use CONNECT and SOCKS?  `loopback`: only this machine can reach the
 * listener that it came through. */
bool policy_allows_proxy(const struct config *config, bool loopback);
/* ERR_FORBIDDEN: its namespace is closed.  That of an address is not known yet. */
MUST_CHECK enum err policy_check_namespace(const struct config *config,
                                           const struct name *name, struct refusal *why);

/* ERR_FORBIDDEN: *why is the refusal.  `target` is of this request, and valid. */
MUST_CHECK enum err policy_check(const struct rules *rules, const struct http1_head *head,
                                 const struct target *target, struct refusal *why);
