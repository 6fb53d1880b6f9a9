/* admin/admin.c - our own pages: what this is, whether it is well, what it counted */
#include "admin/admin.h"

#include "base/metrics.h"
#include "base/own.h"
#include "cluster/clusters.h"

#define TEXT "text/plain; charset=utf-8"

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

static void on_front(struct admin *a, struct admin_page *ret)
{
    page(
        ret, 200,
        xasprintf("This is kube-tunnel " VERSION ".\n"
                  "\n"
                  "It makes the services of a Kubernetes cluster reachable by their "
                  "names. Ask for one:\n"
                  "\n"
                  "    curl http://<service>.<namespace>.svc.%s/\n"
                  "    curl http://<service>.<namespace>.localhost/      (needs no DNS)\n"
                  "    curl -H 'Host: <service>.<namespace>' http://<this address>/\n"
                  "\n"
                  "Pages of its own, on its own names only:\n"
                  "\n"
                  "    /healthz    it is alive\n"
                  "    /readyz     it knows the cluster\n"
                  "    /metrics    what it counted, for Prometheus\n",
                  a->cluster_domain));
}

static void on_healthz(struct admin *a, struct admin_page *ret)
{
    (void)a;
    page(ret, 200, xstrdup("ok\n"));
}

static void on_readyz(struct admin *a, struct admin_page *ret)
{
    const struct cluster_status first = clusters_status(a->clusters, 0);

    if (first.ready)
        page(ret, 200, xstrdup("ok\n"));
    else if (first.error.text[0])
        page(ret, 503, xasprintf("The cluster is not known yet: %s\n", first.error.text));
    else
        page(ret, 503, xstrdup("The cluster is not known yet: still asking.\n"));
}

static void on_metrics(struct admin *a, struct admin_page *ret)
{
    (void)a;
    page(ret, 200, metrics_text());
    ret->type = "text/plain; version=0.0.4; charset=utf-8";
}

static const struct {
    const char *path;
    void (*answer)(struct admin *a, struct admin_page *ret);
} pages[] = {
    { "/", on_front },
    { "/healthz", on_healthz },
    { "/readyz", on_readyz },
    { "/metrics", on_metrics },
};

static void not_allowed(struct admin_page *ret)
{
    page(ret, 405,
         xstrdup("Method Not Allowed: kube-tunnel's own pages can only be "
                 "read.\n"));
    ret->allow = "GET, HEAD";
}

void admin_answer(struct admin *a, struct str method, struct str path,
                  struct admin_page *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        if (!str_eq(path, str_of(pages[i].path)))
            continue;
        if (str_eq(method, STR("GET")) || str_eq(method, STR("HEAD")))
            pages[i].answer(a, ret);
        else
            not_allowed(ret);
        return;
    }
    page(ret, 404,
         xstrdup("Not Found: this is kube-tunnel itself, which has no such page.\n"
                 "\n"
                 "To reach a service, ask for it by name: "
                 "http://<service>.<namespace>.localhost/\n"));
}
