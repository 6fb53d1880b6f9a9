/* wire/http1_names.h - the names of header fields that the proxy looks at
 *
 * Pure.  A name is identified by its length before its spelling, because that is done for each field
 * of each head.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/* Names the proxy itself has to look at; everything else is FIELD_OTHER. */
enum http1_name {
    FIELD_OTHER,
    FIELD_ACCEPT,
    FIELD_AUTHORIZATION,
    FIELD_CONNECTION,
    FIELD_CONTENT_LENGTH,
    FIELD_CONTENT_TYPE,
    FIELD_EXPECT,
    FIELD_FORWARDED,
    FIELD_HOST,
    FIELD_KEEP_ALIVE,
    FIELD_ORIGIN,
    FIELD_PROXY_AUTHENTICATE,
    FIELD_PROXY_AUTHORIZATION,
    FIELD_PROXY_CONNECTION,
    FIELD_RETRY_AFTER,
    FIELD_SEC_FETCH_DEST,
    FIELD_SEC_FETCH_MODE,
    FIELD_SEC_FETCH_SITE,
    FIELD_TE,
    FIELD_TRAILER,
    FIELD_TRANSFER_ENCODING,
    FIELD_UPGRADE,
    FIELD_USER_AGENT,
    FIELD_WWW_AUTHENTICATE,
};

/* FIELD_OTHER: none of them.  Case is ignored. */
enum http1_name http1_name_of(struct str name);
/* Is this field hop-by-hop by nature? */
bool http1_name_is_hop(enum http1_name id);
