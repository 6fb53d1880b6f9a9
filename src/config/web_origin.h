/* config/web_origin.h - origins of web pages, and the patterns that match them
 *
 * No I/O.  A pattern is one of
 *     https://app.example:8443   exactly this origin
 *     app.example                this host, http or https, any port
 *     *.shop                     every name below it, http or https, any port
 *     vscode-webview: and "//" and "*"   every host of this scheme
 *     null                       pages without an origin: sandboxed frames, files
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

struct web_origin {
    struct str scheme, host; /* as written; an IPv6 host keeps its brackets */
    uint16_t port;           /* the scheme's default when none is written; else 0 */
};

/* "scheme://host[:port]", nothing before or after it (RFC 6454, section 6.2); "null" and
 * everything else is false.  The views in *ret point into `text`. */
bool web_origin_parse(struct str text, struct web_origin *ret);
bool web_origin_is_http(const struct web_origin *o); /* or https */

/* "app.example" or "*.example"; `host` is without a port. */
bool host_pattern_is_valid(struct str pattern);
bool host_pattern_matches(struct str pattern, struct str host);

bool origin_pattern_is_valid(struct str pattern);
/* `pattern` is valid.  `origin` is the text of an Origin field, or "null". */
bool origin_pattern_matches(struct str pattern, struct str origin);
