/* net/url.h - parse URLs that people wrote, with curl's parser (CURLU)
 *
 * So the result is the same as when curl itself is given the URL later.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* All texts are owned. */
struct url {
    char *scheme;          /* lower case */
    char *user, *password; /* decoded; NULL: there is none */
    char *host;            /* without brackets; the zone of an IPv6 address stays */
    bool v6;               /* the host is an IPv6 address */
    uint16_t port;         /* 0: not given */
    char *path;            /* as written; "/" where there is none */
    bool rest;             /* a query or a fragment follows */
};

/* `scheme` is assumed for a URL without "://".  ERR_CONFIG: *why has curl's error text,
 * without the URL, and *ret is zeroed. */
MUST_CHECK enum err url_parse(struct str text, const char *scheme, struct url *ret,
                              struct diag *why);
void url_finish(struct url *u); /* zeroed accepted */

/* "host:port", with brackets where needed; `port` is used where the URL has none.  Owned
 * by the caller. */
char *url_host_port(const struct url *u, uint16_t port);

/* "scheme://user:password@host:port" of a URL, encoded as it was, with `port` where it
 * has none; NULL: the text is no URL.  Owned by the caller. */
char *url_authority(struct str text, const char *scheme, uint16_t port);

/* For messages; accepts any text: "https://user:xxxxx@host/" hides a password, also in
 * text that is no URL.  Owned by the caller. */
char *url_redacted(struct str text);
