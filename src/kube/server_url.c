/* kube/server_url.c - take apart the server of a kubeconfig */
#include "kube/server_url.h"

#include "base/own.h"
#include "net/url.h"

/* Why the URL, which was parsed, is not one of an API server; NULL: it is. */
static const char *fault_of(const struct url *u)
{
    if (strcmp(u->scheme, "https") != 0 && strcmp(u->scheme, "http") != 0)
        return "the scheme is not http or https";
    if (u->user || u->password)
        return "credentials belong to the user, not into the URL";
    return u->rest ? "? and # have no place in it" : NULL;
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

static void set_parts(struct kube_target *t, const struct url *u)
{
    t->tls = strcmp(u->scheme, "https") == 0;
    uint16_t usual = t->tls ? 443 : 80;

    t->port = u->port ? u->port : usual;
    t->host = xstrdup(u->host);
    t->prefix = clean_path(str_of(u->path));
    t->host_header = t->port != usual ? url_host_port(u, usual)
                                      : xasprintf(u->v6 ? "[%s]" : "%s", u->host);
    t->server = xasprintf("%s://%s%s", u->scheme, t->host_header, t->prefix);
}

enum err server_url_set(struct kube_target *t, const char *text, struct diag *why)
{
    AUTO(url_finish) struct url u = { 0 };
    struct diag fault = { "" };
    const char *problem = NULL;

    if (url_parse(str_trim_space(str_of(text)), "http", &u, &fault))
        problem = fault.text;
    else
        problem = fault_of(&u);
    if (problem) {
        AUTO_FREE char *shown = url_redacted(str_of(text));
        return diag_set(why, ERR_CONFIG, "server \"%s\": %s", shown, problem);
    }
    set_parts(t, &u);
    return OK;
}
