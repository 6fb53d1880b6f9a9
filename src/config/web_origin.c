/* config/web_origin.c - origins of web pages, and the patterns that match them */
#include "config/web_origin.h"

#define SCHEME_MAX 64
#define HOST_MAX 253

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

/* RFC 3986, section 3.1. */
static bool is_scheme(struct str s)
{
    if (str_empty(s) || s.len > SCHEME_MAX || !is_letter(s.at[0]))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_letter(s.at[i]) && !is_digit(s.at[i]) && !is_one_of(s.at[i], "+-."))
            return false;
    return true;
}

static bool is_host_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_letter(s.at[i]) && !is_digit(s.at[i]) && !is_one_of(s.at[i], "-_."))
            return false;
    return !str_empty(s) && s.len <= HOST_MAX && s.at[0] != '.';
}

/* Checks only the characters of an IPv6 address; whether it is valid does not matter
 * here. */
static bool is_bracketed(struct str s)
{
    if (s.len < 4 || s.len > 48 || s.at[0] != '[' || s.at[s.len - 1] != ']')
        return false;
    for (size_t i = 1; i + 1 < s.len; i++)
        if (!is_digit(s.at[i]) && !is_one_of(s.at[i], "abcdefABCDEF:."))
            return false;
    return true;
}

static bool is_host(struct str s)
{
    return is_host_name(s) || is_bracketed(s);
}

static uint16_t default_port(struct str scheme)
{
    if (str_ieq(scheme, STR("http")))
        return 80;
    return str_ieq(scheme, STR("https")) ? 443 : 0;
}

/* "scheme://rest"; false: there is no scheme. */
static bool split_scheme(struct str text, struct str *ret_scheme, struct str *ret_rest)
{
    struct str scheme;
    struct str rest = str_cut(text, ':', &scheme);

    if (!rest.at || !str_starts(rest, STR("//")) || !is_scheme(scheme))
        return false;
    *ret_scheme = scheme;
    *ret_rest = str_skip(rest, 2);
    return true;
}

static bool split_port(struct str *host, uint16_t *ret_port)
{
    struct str before;
    struct str port = str_cut_last(*host, ':', &before);
    uint64_t number;

    if (is_bracketed(*host) || !port.at)
        return true; /* no port is written */
    if (str_to_uint(port, UINT16_MAX, &number) || number == 0)
        return false;
    *host = before;
    *ret_port = (uint16_t)number;
    return true;
}

bool web_origin_parse(struct str text, struct web_origin *ret)
{
    struct web_origin o;

    if (!split_scheme(text, &o.scheme, &o.host))
        return false;
    o.port = default_port(o.scheme);
    if (!split_port(&o.host, &o.port) || !is_host(o.host))
        return false;
    *ret = o;
    return true;
}

bool web_origin_is_http(const struct web_origin *o)
{
    return str_ieq(o->scheme, STR("http")) || str_ieq(o->scheme, STR("https"));
}

static bool is_any_host(struct str pattern, struct str *ret_scheme)
{
    struct str rest;

    return split_scheme(pattern, ret_scheme, &rest) && str_eq(rest, STR("*"));
}

static bool is_null(struct str s)
{
    return str_ieq(s, STR("null"));
}

bool host_pattern_is_valid(struct str pattern)
{
    if (str_starts(pattern, STR("*.")))
        return is_host_name(str_skip(pattern, 2));
    return is_host(pattern);
}

/* Is host below the domain `suffix`?  Digits and dots are an address, which is below no
 * domain. */
static bool is_below(struct str host, struct str suffix)
{
    return !str_empty(host) && is_letter(host.at[host.len - 1]) &&
           host.len > suffix.len && str_iends(host, suffix);
}

bool host_pattern_matches(struct str pattern, struct str host)
{
    return str_starts(pattern, STR("*.")) ? is_below(host, str_skip(pattern, 1))
                                          : str_ieq(host, pattern);
}

bool origin_pattern_is_valid(struct str pattern)
{
    struct web_origin any;
    struct str scheme;

    return host_pattern_is_valid(pattern) || is_any_host(pattern, &scheme) ||
           web_origin_parse(pattern, &any);
}

static bool same_origin(const struct web_origin *a, const struct web_origin *b)
{
    return str_ieq(a->scheme, b->scheme) && str_ieq(a->host, b->host) &&
           a->port == b->port;
}

bool origin_pattern_matches(struct str pattern, struct str origin)
{
    struct web_origin o, exact;
    struct str scheme;

    if (is_null(pattern) || !web_origin_parse(origin, &o))
        return is_null(pattern) && is_null(origin);
    if (is_any_host(pattern, &scheme))
        return str_ieq(scheme, o.scheme);
    if (web_origin_parse(pattern, &exact))
        return same_origin(&exact, &o);
    return web_origin_is_http(&o) && host_pattern_matches(pattern, o.host);
}
