#include "net/url.h"

#include <curl/curl.h>
#include <stdio.h>

#include "base/own.h"

#define ZONE_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-"

static void url_curl_freep(char **text)
{
    curl_free(*text);
}

static void curl_urlp(CURLU **u)
{
    curl_url_cleanup(*u);
}

static bool has_scheme(struct str text)
{
    for (size_t i = 0; i + 2 < text.len; i++)
        if (memcmp(text.at + i, "://", 3) == 0)
            return true;
    return false;
}

/* NULL: the URL has no such part. */
static char *take_part(CURLU *u, CURLUPart part, unsigned flags)
{
    AUTO(url_curl_freep) char *text = NULL;

    if (curl_url_get(u, part, &text, flags))
        return NULL;
    return xstrdup(text);
}

static bool has_part(CURLU *u, CURLUPart part)
{
    AUTO_FREE char *text = take_part(u, part, 0);
    return text != NULL;
}

static void take_host(CURLU *u, struct url *ret)
{
    AUTO_FREE char *host = take_part(u, CURLUPART_HOST, 0);
    AUTO_FREE char *zone = take_part(u, CURLUPART_ZONEID, 0);
    size_t len = host ? strlen(host) : 0;

    ret->v6 = len > 2 && host[0] == '[';
    if (!ret->v6)
        ret->host = xstrdup(host ? host : "");
    else
        ret->host = xasprintf("%.*s%s%s", (int)len - 2, host + 1, zone ? "%" : "",
                              zone ? zone : "");
}

static void take_port(CURLU *u, struct url *ret)
{
    AUTO_FREE char *text = take_part(u, CURLUPART_PORT, 0);
    uint64_t port = 0;

    if (text && !str_to_uint(str_of(text), UINT16_MAX, &port))
        ret->port = (uint16_t)port;
}

/* curl takes any byte for one of an interface's name. */
static bool zone_is_plain(const char *host)
{
    const char *zone = strchr(host, '%');

    return !zone || strspn(zone + 1, ZONE_BYTES) == strlen(zone + 1);
}

static enum err check(CURLU *u, CURLUcode code, const struct url *found, struct diag *why)
{
    if (code)
        return diag_set(why, ERR_CONFIG, "%s", curl_url_strerror(code));
    if (!found->host[0])
        return diag_set(why, ERR_CONFIG, "no host in it");
    if (!zone_is_plain(found->host))
        return diag_set(why, ERR_CONFIG, "the zone of its address is not one");
    if (has_part(u, CURLUPART_PORT) && !found->port)
        return diag_set(why, ERR_CONFIG, "the port is not one");
    return OK;
}

static CURLUcode read_url(struct str text, const char *scheme, CURLU *into)
{
    AUTO_FREE char *whole =
        has_scheme(text) ? str_dup(text) : xasprintf("%s://%.*s", scheme, STR_ARG(text));

    if (!into)
        abort(); /* out of memory */
    CURLUcode code = memchr(text.at, '\0', text.len)
                         ? CURLUE_MALFORMED_INPUT
                         : curl_url_set(into, CURLUPART_URL, whole,
                                        CURLU_NON_SUPPORT_SCHEME | CURLU_PATH_AS_IS);
    explicit_bzero(whole, strlen(whole));
    return code;
}

enum err url_parse(struct str text, const char *scheme, struct url *ret, struct diag *why)
{
    AUTO(curl_urlp) CURLU *u = curl_url();

    *ret = (struct url){ 0 };
    CURLUcode code = read_url(text, scheme, u);
    if (!code) {
        ret->scheme = take_part(u, CURLUPART_SCHEME, 0);
        ret->user = take_part(u, CURLUPART_USER, CURLU_URLDECODE);
        ret->password = take_part(u, CURLUPART_PASSWORD, CURLU_URLDECODE);
        ret->path = take_part(u, CURLUPART_PATH, 0);
        ret->rest = has_part(u, CURLUPART_QUERY) || has_part(u, CURLUPART_FRAGMENT);
        take_host(u, ret);
        take_port(u, ret);
    }
    enum err e = check(u, code, ret, why);
    if (e)
        url_finish(ret);
    return e;
}

void url_finish(struct url *u)
{
    if (u->password)
        explicit_bzero(u->password, strlen(u->password));
    free(u->scheme);
    free(u->user);
    free(u->password);
    free(u->host);
    free(u->path);
    *u = (struct url){ 0 };
}

char *url_host_port(const struct url *u, uint16_t port)
{
    return xasprintf(u->v6 ? "[%s]:%u" : "%s:%u", u->host, u->port ? u->port : port);
}

char *url_authority(struct str text, const char *scheme, uint16_t port)
{
    AUTO(curl_urlp) CURLU *u = curl_url();
    char number[8];

    if (read_url(text, scheme, u))
        return NULL;
    snprintf(number, sizeof(number), "%u", port);
    if (!has_part(u, CURLUPART_PORT))
        curl_url_set(u, CURLUPART_PORT, number, 0);
    curl_url_set(u, CURLUPART_PATH, NULL, 0);
    curl_url_set(u, CURLUPART_QUERY, NULL, 0);
    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
    char *whole = take_part(u, CURLUPART_URL, 0);
    size_t len = whole ? strlen(whole) : 0;
    if (len && whole[len - 1] == '/')
        whole[len - 1] = '\0';
    return whole;
}

/* Not by a parser, since the password may hold a slash: replaces the text between the
 * first colon after "://" and the last "@". */
char *url_redacted(struct str text)
{
    struct str rest = text, user, password;

    for (size_t i = 0; i + 2 < text.len && rest.len == text.len; i++)
        if (memcmp(text.at + i, "://", 3) == 0)
            rest = str_skip(text, i + 3);
    struct str host = str_cut_last(rest, '@', &user);
    password = str_cut(user, ':', &user);
    if (!host.at || !password.at)
        return str_dup(text);
    size_t before = (size_t)(password.at - text.at);
    size_t after = before + password.len;
    return xasprintf("%.*sxxxxx%.*s", (int)before, text.at, (int)(text.len - after),
                     text.at + after);
}
