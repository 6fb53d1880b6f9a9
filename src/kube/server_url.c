/* kube/server_url.c - take apart the server of a kubeconfig */
#include "kube/server_url.h"

#include "base/own.h"
#include "base/url.h"

struct parts {
    bool tls, v6;
    struct str host, port, path; /* host without brackets; port without the colon */
};

static bool any_of(struct str s, const char *set)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] <= ' ' || s.at[i] == 0x7f || strchr(set, s.at[i]))
            return true;
    return false;
}

static const char *cut_scheme(struct parts *p, struct str *rest)
{
    size_t at = 0;

    while (at + 2 < rest->len && memcmp(rest->at + at, "://", 3) != 0)
        at++;
    if (at + 2 >= rest->len)
        return NULL;
    struct str scheme = str_first(*rest, at);
    *rest = str_skip(*rest, at + 3);
    p->tls = str_ieq(scheme, STR("https"));
    return p->tls || str_ieq(scheme, STR("http")) ? NULL
                                                  : "the scheme is not http or https";
}

static const char *cut_authority(struct parts *p, struct str authority)
{
    struct str head, tail;

    if (memchr(authority.at, '@', authority.len))
        return "credentials belong to the user, not into the URL";
    if (str_starts(authority, STR("["))) {
        p->v6 = true;
        tail = str_cut(str_skip(authority, 1), ']', &p->host);
        if (!tail.at || (tail.len && tail.at[0] != ':'))
            return "the brackets do not fit";
        p->port = str_skip(tail, 1);
    } else {
        p->port = str_cut(authority, ':', &head);
        p->host = head;
    }
    if (str_empty(p->host) || any_of(p->host, "[]\"\\"))
        return "no host in it";
    return memchr(p->port.at ? p->port.at : "", ':', p->port.len)
               ? "an IPv6 address needs brackets"
               : NULL;
}

static const char *take_apart(struct parts *p, struct str text)
{
    struct str authority;
    const char *problem = cut_scheme(p, &text);

    if (problem)
        return problem;
    if (any_of(text, "?#"))
        return "blanks, ? and # have no place in it";
    p->path = str_cut(text, '/', &authority);
    return cut_authority(p, authority);
}

static enum err port_of(const struct parts *p, uint16_t *ret)
{
    uint64_t port = p->tls ? 443 : 80;

    if (!str_empty(p->port) && str_to_uint(p->port, UINT16_MAX, &port))
        return ERR_CONFIG;
    *ret = (uint16_t)port;
    return port ? OK : ERR_CONFIG;
}

/* "a//./b/../c/" is "/a/c". */
static char *clean_path(struct str path)
{
    char *clean = xcalloc(1, path.len + 2);
    size_t len = 0;

    while (!str_empty(path)) {
        struct str part;
        path = str_cut(path, '/', &part);
        if (str_eq(part, STR(".."))) {
            while (len && clean[--len] != '/')
                ;
        } else if (!str_empty(part) && !str_eq(part, STR("."))) {
            clean[len++] = '/';
            memcpy(clean + len, part.at, part.len);
            len += part.len;
        }
        clean[len] = '\0';
    }
    return clean;
}

enum err server_url_set(struct kube_target *t, const char *text, struct diag *why)
{
    struct parts p = { 0 };
    uint16_t port = 0;
    const char *problem = take_apart(&p, str_trim_space(str_of(text)));

    if (!problem && port_of(&p, &port))
        problem = "the port is not one";
    if (problem) {
        AUTO_FREE char *shown = url_redacted(str_of(text));
        return diag_set(why, ERR_CONFIG, "server \"%s\": %s", shown, problem);
    }

    const char *format = p.v6 ? "[%.*s]" : "%.*s";
    AUTO_FREE char *bracketed = xasprintf(format, STR_ARG(p.host));
    t->tls = p.tls;
    t->port = port;
    t->host = str_dup(p.host);
    t->prefix = clean_path(p.path);
    t->host_header = port == (p.tls ? 443 : 80) ? xstrdup(bracketed)
                                                : xasprintf("%s:%u", bracketed, port);
    t->server =
        xasprintf("%s://%s%s", p.tls ? "https" : "http", t->host_header, t->prefix);
    return OK;
}
