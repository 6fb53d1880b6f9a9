/* admin/admin.c - kube-tunnel's own pages: help, health, metrics, proxy settings */
#include "admin/admin.h"

#include "admin/pac.h"
#include "base/metrics.h"
#include "base/own.h"
#include "base/utf8.h"
#include "cluster/clusters.h"

#include <stdio.h>

#define TEXT "text/plain; charset=utf-8"
#define HTML "text/html; charset=utf-8"
#define LOGIN "/login/"

struct admin {
    struct clusters *clusters;
    char *cluster_domain;
};

struct admin *admin_create(struct clusters *clusters, const char *cluster_domain)
{
    struct admin *a = xcalloc(1, sizeof(*a));

    a->clusters = clusters;
    a->cluster_domain = xstrdup(cluster_domain);
    return a;
}

void admin_set_zone(struct admin *a, const char *cluster_domain)
{
    free(a->cluster_domain);
    a->cluster_domain = xstrdup(cluster_domain);
}

void admin_destroy(struct admin *a)
{
    if (!a)
        return;
    free(a->cluster_domain);
    free(a);
}

static void page(struct admin_page *ret, int status, char *text)
{
    *ret = (struct admin_page){ .status = status, .type = TEXT, .text = text };
}

struct list {
    FILE *out;
};

static void put_names(void *owner, const struct cluster_status *s)
{
    const struct list *l = owner;

    AUTO_FREE char *name = xstrdup(s->name);

    text_make_printable(name, false);
    if (s->several)
        fprintf(l->out, "    http://<service>.<namespace>.%s.localhost/    %s%s\n",
                s->label, name, s->plain ? " (also the names above)" : "");
}

static char *names_of_clusters(const struct admin *a)
{
    char *text = NULL;
    size_t len = 0;
    struct list l = { open_memstream(&text, &len) };

    if (!l.out)
        abort();
    if (clusters_count(a->clusters) > 1)
        fputs("\nIn each of the contexts of the kubeconfig:\n\n", l.out);
    clusters_each(a->clusters, put_names, &l);
    if (fclose(l.out))
        abort();
    return text;
}

static void on_front(struct admin *a, const struct admin_request *r,
                     struct admin_page *ret)
{
    (void)r;

    AUTO_FREE char *clusters = names_of_clusters(a);

    page(
        ret, 200,
        xasprintf("This is kube-tunnel " VERSION ".\n"
                  "\n"
                  "It makes the services of a Kubernetes cluster reachable by their "
                  "names. Request one:\n"
                  "\n"
                  "    curl http://<service>.<namespace>.svc.%s/\n"
                  "    curl http://<service>.<namespace>.localhost/      (needs no DNS)\n"
                  "    curl -H 'Host: <service>.<namespace>' http://<this address>/\n"
                  "%s\n"
                  "Pages of its own, on its own names only:\n"
                  "\n"
                  "    /healthz    200 while the process runs\n"
                  "    /readyz     200 once the cluster is known\n"
                  "    /metrics    metrics for Prometheus\n"
                  "    /proxy.pac  proxy settings for browsers\n",
                  a->cluster_domain, clusters));
}

static void on_healthz(struct admin *a, const struct admin_request *r,
                       struct admin_page *ret)
{
    (void)a;
    (void)r;
    page(ret, 200, xstrdup("ok\n"));
}

static const char *state_of(const struct cluster_status *s)
{
    if (s->error.text[0])
        return s->error.text;
    if (!s->connected)
        return "not used yet";
    return s->ready ? "ok" : "still loading";
}

static void put_readiness(void *owner, const struct cluster_status *s)
{
    const struct list *l = owner;

    if (s->several)
        fprintf(l->out, "%s: %s\n", s->label, state_of(s));
}

/* Adds a line per cluster, if there are several; readiness is that of the first one
 * only. */
static char *with_clusters(const struct admin *a, const char *first_line)
{
    char *text = NULL;
    size_t len = 0;
    struct list l = { open_memstream(&text, &len) };

    if (!l.out)
        abort();
    fputs(first_line, l.out);
    clusters_each(a->clusters, put_readiness, &l);
    if (fclose(l.out))
        abort();
    return text;
}

static void on_readyz(struct admin *a, const struct admin_request *r,
                      struct admin_page *ret)
{
    (void)r;

    const struct cluster_status first = clusters_status(a->clusters, 0);
    AUTO_FREE char *trouble =
        xasprintf("The cluster is not known yet: %s\n",
                  first.error.text[0] ? first.error.text : "still loading.");

    page(ret, first.ready ? 200 : 503, with_clusters(a, first.ready ? "ok\n" : trouble));
}

static void on_metrics(struct admin *a, const struct admin_request *r,
                       struct admin_page *ret)
{
    (void)a;
    (void)r;
    page(ret, 200, metrics_text());
    ret->type = "text/plain; version=0.0.4; charset=utf-8";
}

static void on_pac(struct admin *a, const struct admin_request *r, struct admin_page *ret)
{
    page(ret, 200, pac_text(a->clusters, a->cluster_domain, r->authority));
    ret->type = PAC_TYPE;
}

static const struct {
    const char *path;
    void (*answer)(struct admin *a, const struct admin_request *r,
                   struct admin_page *ret);
} pages[] = {
    { "/", on_front },          { "/healthz", on_healthz }, { "/readyz", on_readyz },
    { "/metrics", on_metrics }, { "/proxy.pac", on_pac },
};

static void not_allowed(struct admin_page *ret)
{
    page(ret, 405,
         xstrdup("Method Not Allowed: kube-tunnel's own pages can only be "
                 "read.\n"));
    ret->allow = "GET, HEAD";
}

static void put_escaped(FILE *out, const char *s)
{
    for (; *s; s++) {
        if (strchr("<>&\"'", *s))
            fprintf(out, "&#%d;", *s);
        else
            fputc(*s, out);
    }
}

/* While a plugin runs the page reloads itself.  After a failure the button is shown again
 * only when the back-off is over, because a press would start nothing before. */
static char *login_text(const char *name, bool needed, bool runs, const char *why)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        abort();
    fprintf(out,
            "<!doctype html>\n<meta charset=\"utf-8\">\n%s<title>Login</title>\n<h1>",
            runs ? "<meta http-equiv=\"refresh\" content=\"2\">\n" : "");
    put_escaped(out, name);
    fputs(needed ? "</h1>\n<p>"
                 : "</h1>\n<p>You are logged in. Go back to your page, and "
                   "load it again.</p>\n",
          out);
    if (needed)
        put_escaped(out, why);
    if (needed)
        fputs("</p>\n<p>The exec plugin prompts at the terminal of kube-tunnel, or in a "
              "window that it opens.</p>\n<form method=\"post\"><button>Log "
              "in</button></form>\n",
              out);
    if (fclose(out))
        abort();
    return text;
}

static void on_login(struct admin *a, struct str method, struct str label,
                     struct admin_page *ret)
{
    bool press = str_eq(method, STR("POST"));
    struct diag why = { "" }, login = { "" };
    AUTO_FREE char *shown = str_dup(label);
    enum err e = press ? clusters_login(a->clusters, label, &login) : OK;

    if (!press && !str_eq(method, STR("GET")) && !str_eq(method, STR("HEAD"))) {
        not_allowed(ret);
        ret->allow = "GET, HEAD, POST";
        return;
    }
    bool needed = clusters_need_login(a->clusters, label, &why);
    page(ret, e == ERR_NOT_CONFIGURED ? 404 : 200,
         login_text(label.len ? shown : "kube-tunnel", needed || (e && e != ERR_AGAIN),
                    e == ERR_AGAIN, login.text[0] ? login.text : why.text));
    ret->type = HTML;
}

void admin_answer(struct admin *a, const struct admin_request *r, struct admin_page *ret)
{
    struct str method = r->method, path = r->path;

    if (str_starts(path, STR(LOGIN))) {
        on_login(a, method, str_skip(path, sizeof(LOGIN) - 1), ret);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        if (!str_eq(path, str_of(pages[i].path)))
            continue;
        if (str_eq(method, STR("GET")) || str_eq(method, STR("HEAD")))
            pages[i].answer(a, r, ret);
        else
            not_allowed(ret);
        return;
    }
    page(ret, 404,
         xstrdup("Not Found: this is kube-tunnel itself, which has no such page.\n"
                 "\n"
                 "To reach a service, request it by name: "
                 "http://<service>.<namespace>.localhost/\n"));
}
