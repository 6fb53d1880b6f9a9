/* wire/http1_names.c - the names of header fields that the proxy looks at */
#include "wire/http1_names.h"

#include "base/own.h"

/* clang-format off */
/* The field names of enum http1_name, in lower case, and whether they are hop-by-hop. */
static const struct {
    const char *name;
    bool hop;
} known[] = {
    [FIELD_ACCEPT]              = { "accept",              false },
    [FIELD_AUTHORIZATION]       = { "authorization",       false },
    [FIELD_CONNECTION]          = { "connection",          true },
    [FIELD_CONTENT_LENGTH]      = { "content-length",      false },
    [FIELD_CONTENT_TYPE]        = { "content-type",        false },
    [FIELD_EXPECT]              = { "expect",              false },
    [FIELD_FORWARDED]           = { "forwarded",           false },
    [FIELD_HOST]                = { "host",                false },
    [FIELD_KEEP_ALIVE]          = { "keep-alive",          true },
    [FIELD_ORIGIN]              = { "origin",              false },
    [FIELD_PROXY_AUTHENTICATE]  = { "proxy-authenticate",  true },
    [FIELD_PROXY_AUTHORIZATION] = { "proxy-authorization", true },
    [FIELD_PROXY_CONNECTION]    = { "proxy-connection",    true },
    [FIELD_RETRY_AFTER]         = { "retry-after",         false },
    [FIELD_SEC_FETCH_DEST]      = { "sec-fetch-dest",      false },
    [FIELD_SEC_FETCH_MODE]      = { "sec-fetch-mode",      false },
    [FIELD_SEC_FETCH_SITE]      = { "sec-fetch-site",      false },
    [FIELD_TE]                  = { "te",                  true },
    [FIELD_TRAILER]             = { "trailer",             false },
    [FIELD_TRANSFER_ENCODING]   = { "transfer-encoding",   true },
    [FIELD_UPGRADE]             = { "upgrade",             true },
    [FIELD_USER_AGENT]          = { "user-agent",          false },
    [FIELD_WWW_AUTHENTICATE]    = { "www-authenticate",    false },
};

/* The same names by length; FIELD_OTHER, which is 0, ends a row. */
static const enum http1_name of_length[][5] = {
    [2]  = { FIELD_TE },
    [4]  = { FIELD_HOST },
    [6]  = { FIELD_ACCEPT, FIELD_EXPECT, FIELD_ORIGIN },
    [7]  = { FIELD_UPGRADE, FIELD_TRAILER },
    [9]  = { FIELD_FORWARDED },
    [10] = { FIELD_USER_AGENT, FIELD_CONNECTION, FIELD_KEEP_ALIVE },
    [11] = { FIELD_RETRY_AFTER },
    [12] = { FIELD_CONTENT_TYPE },
    [13] = { FIELD_AUTHORIZATION },
    [14] = { FIELD_CONTENT_LENGTH, FIELD_SEC_FETCH_DEST, FIELD_SEC_FETCH_MODE,
             FIELD_SEC_FETCH_SITE },
    [16] = { FIELD_PROXY_CONNECTION, FIELD_WWW_AUTHENTICATE },
    [17] = { FIELD_TRANSFER_ENCODING },
    [18] = { FIELD_PROXY_AUTHENTICATE },
    [19] = { FIELD_PROXY_AUTHORIZATION },
};
/* clang-format on */

/* Setting bit 5 maps a capital to its small letter and, among the bytes that can get
 * here, no other byte to a letter or to '-', of which these names consist. */
static bool spelled(struct str s, const char *lower)
{
    for (size_t i = 0; i < s.len; i++)
        if ((s.at[i] | 0x20) != lower[i])
            return false;
    return true;
}

enum http1_name http1_name_of(struct str name)
{
    if (name.len >= ARRAY_LEN(of_length))
        return FIELD_OTHER;
    for (const enum http1_name *id = of_length[name.len]; *id; id++)
        if (spelled(name, known[*id].name))
            return *id;
    return FIELD_OTHER;
}

bool http1_name_is_hop(enum http1_name id)
{
    return known[id].hop;
}
