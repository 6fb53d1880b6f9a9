/* control/redact.h - what of a request may be shown
 *
 * Values are redacted of the fields Authorization, Proxy-Authorization, Cookie and Set-Cookie
 * and of each name that hints at a secret; values of queries and of fragments, too, unless they
 * are asked for.  What is before the "@" of a URL is always redacted.
 * Private to control/, pure.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

#define REDACTED "(redacted)"

/* Does the name of a field or of a parameter hint at a secret? */
bool redact_is_secret(struct str name);
/* Does a field have a URL, whose query is redacted like that of the request? */
bool redact_has_url(struct str name, struct str value);
/* False: redact_path would put this path as it stands. */
bool redact_changes(struct str path);

/* "/path?a=1&token=2" as "/path?a=(redacted)&token=(redacted)"; with `queries` only the value
 * of `token` is redacted, and values that have such a parameter in them.  Calls back for each piece in turn. */
void redact_path(struct str path, bool queries,
                 void (*put)(void *owner, struct str piece), void *owner);
