/* base/url.h - URLs that people wrote, for messages
 *
 * Nothing is judged: what is no URL is returned as it is.  Owned by the caller.
 */
#pragma once

#include "base/str.h"

/* With "xxxxx" for a password: "https://user:xxxxx@host/". */
char *url_redacted(struct str url);

/* "host:port", the port being `port` where the URL has none: no scheme, no user, no path. */
char *url_host_port(struct str url, unsigned port);

/* What stands before "://", or nothing. */
struct str url_scheme(struct str url);
