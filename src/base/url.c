/* base/url.c - URLs that people wrote, for messages */
#include "base/url.h"

#include "base/own.h"

struct str url_scheme(struct str url)
{
    for (size_t i = 0; i + 2 < url.len; i++)
        if (memcmp(url.at + i, "://", 3) == 0)
            return str_first(url, i);
    return (struct str){ NULL, 0 };
}

/* After "//": up to the path, a query or a fragment. */
static struct str authority_of(struct str url)
{
    struct str scheme = url_scheme(url);
    struct str rest = scheme.at ? str_skip(url, scheme.len + 3) : url;
    size_t len = 0;

    while (len < rest.len && !strchr("/?#", rest.at[len]))
        len++;
    return str_first(rest, len);
}

char *url_redacted(struct str url)
{
    struct str scheme = url_scheme(url), user, password;
    struct str rest = scheme.at ? str_skip(url, scheme.len + 3) : url;
    struct str host = str_cut_last(rest, '@', &user); /* a password may hold a slash */

    password = str_cut(user, ':', &user);
    if (!host.at || !password.at)
        return str_dup(url);
    size_t before = (size_t)(password.at - url.at);
    size_t after = before + password.len;
    return xasprintf("%.*sxxxxx%.*s", (int)before, url.at, (int)(url.len - after),
                     url.at + after);
}

char *url_host_port(struct str url, unsigned port)
{
    struct str authority = authority_of(url), user, head;
    struct str host = str_cut_last(authority, '@', &user);

    if (!host.at)
        host = authority;
    struct str tail = str_cut_last(host, ':', &head);
    bool has_port = tail.at && !str_empty(tail) && !memchr(tail.at, ']', tail.len);
    return has_port ? str_dup(host) : xasprintf("%.*s:%u", STR_ARG(host), port);
}
