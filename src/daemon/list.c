/* daemon/list.c - the services that can be reached
 *
 * Asks the API server itself instead of a running kube-tunnel, so it also answers the
 * question what one could reach with one.  What port-forward cannot reach is left out:
 * external names, services without a selector, ports that are not TCP; and so is what
 * the settings close.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/own.h"
#include "catalog/objects.h"
#include "config/config.h"
#include "daemon/daemon.h"
#include "daemon/listed.h"
#include "daemon/names.h"
#include "daemon/process.h"
#include "kube/api.h"
#include "listen/listen.h"
#include "net/loop.h"
#include "route/name.h"
#include "serve/errors.h"
#include "serve/policy.h"

#define EXIT_FAILED 1
#define LIST_MS 30000
#define HTTP_PORT 80
#define PORTS_WIDTH                                                                      \
    40 /* in a pipe: the longest names are 253, ports could be thousands */

struct listing {
    const struct config *config;
    uint16_t port; /* of a door, as it stands in a URL */
    struct loop *loop;
    struct transfers *transfers;
    struct api *api;
    struct api_call call;
    struct task on_answer;
    struct listed services;
};

static void on_answer(struct task *t)
{
    struct listing *l = container_of(t, struct listing, on_answer);

    if (l->call.result != ERR_AGAIN)
        loop_stop(l->loop);
}

/* Those that can be reached. */
static void copy_ports(const struct service_spec *s, struct listed_service *to)
{
    to->ports = xcalloc(s->port_count + 1, sizeof(*to->ports));
    for (size_t i = 0; i < s->port_count; i++) {
        const struct service_port *p = &s->ports[i];
        if (p->tcp)
            to->ports[to->port_count++] =
                (struct listed_port){ p->number, xstrdup(p->name) };
    }
}

/* The port our own door has in a URL, or would have; 80 goes without saying. */
static uint16_t door_port(const struct config *c)
{
    if (c->listen.count)
        return c->listen.at[0].port;
    return c->port ? c->port : listen_default_port(in_pod());
}

static char *url(const struct listing *l, const char *host)
{
    if (l->port == HTTP_PORT || l->port == 0)
        return xasprintf("http://%s/", host);
    return xasprintf("http://%s:%u/", host, l->port);
}

static void add_service(struct listing *l, const struct service_spec *s)
{
    struct listed_service row = { 0 };

    copy_ports(s, &row);
    if (!row.port_count) {
        free(row.ports);
        return;
    }
    const char *zone = l->config->cluster_domain;
    AUTO_FREE char *full_name = xasprintf("%s.%s.svc.%s", s->name, s->ns, zone);
    AUTO_FREE char *local_name = name_under_localhost(s->name, s->ns, str_of(zone));
    row.ns = xstrdup(s->ns);
    row.name = xstrdup(s->name);
    row.full = url(l, full_name);
    row.local = url(l, local_name ? local_name : full_name);
    listed_add(&l->services, &row);
}

static void spec_unrefp(struct service_spec **s)
{
    spec_unref(*s);
}

static void on_object(void *owner, json_t *object)
{
    struct listing *l = owner;
    AUTO(spec_unrefp) struct service_spec *s = NULL;

    if (spec_parse(object, &s, NULL))
        return; /* not a service we could serve either */
    if (s->kind == SERVICE_NORMAL && s->selector &&
        policy_opens(l->config, str_of(s->ns)))
        add_service(l, s);
}

/* List one namespace, or all when it is NULL. */
static enum err ask(struct listing *l, const char *ns)
{
    AUTO_FREE char *path = ns ? xasprintf("/api/v1/namespaces/%s/services", ns)
                              : xstrdup("/api/v1/services");

    l->call =
        (struct api_call){ .on_object = on_object, .owner = l, .wake = &l->on_answer };
    api_list(l->api, &l->call, path, NULL, LIST_MS);
    if (l->call.result == ERR_AGAIN)
        loop_run(l->loop);
    return l->call.result;
}

static enum err ask_all(struct listing *l)
{
    const char *chosen = l->config->namespace;
    enum err e = ask(l, chosen);

    if (e != ERR_FORBIDDEN || chosen)
        return e;
    const char *home = api_target(l->api)->ns;
    api_call_finish(&l->call);
    e = ask(l, home);
    if (!e)
        fprintf(stderr,
                "kube-tunnel: services may not be listed in the whole cluster; these are "
                "those of namespace %s (another one: -n)\n",
                home);
    return e;
}

static enum err open_listing(struct listing *l, struct diag *why)
{
    const struct config *c = l->config;
    struct kube_target *target;

    l->loop = loop_create();
    l->transfers = transfers_create(l->loop);
    task_init(&l->on_answer, loop_sched(l->loop), RANK_WORK, on_answer);
    enum err e = kube_target_load(c->kubeconfig, c->context, c->namespace, &target, why);
    if (!e)
        l->api = api_create(l->loop, l->transfers, target);
    return e;
}

static void close_listing(struct listing *l)
{
    api_call_finish(&l->call);
    api_destroy(l->api);
    transfers_destroy(l->transfers);
    task_cancel(&l->on_answer);
    listed_finish(&l->services);
    loop_destroy(l->loop);
}

/* Of the terminal; otherwise as wide as it needs to be, but for the ports. */
static struct listed_width line_width(enum list_output output)
{
    struct winsize size;

    if (output == LIST_WIDE)
        return (struct listed_width){ 0 };
    if (isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
        return (struct listed_width){ .line = size.ws_col, .spaced = true };
    return (struct listed_width){ .ports = PORTS_WIDTH };
}

static void add_alias(struct listing *l, const struct alias *a,
                      const struct alias_text *text)
{
    AUTO_FREE char *host = xasprintf("%s.localhost", a->name);
    bool of_service = a->target.kind == NAME_SERVICE;
    struct listed_alias row = {
        .name = xstrdup(a->name),
        .url = url(l, host),
        .target = xasprintf("%s%s%s", text->target, text->port ? ":" : "",
                            text->port ? text->port : ""),
        .service = of_service ? str_dup(a->target.service) : NULL,
        .ns = str_dup(a->target.ns),
    };

    listed_add_alias(&l->services, &row);
}

/* Those of the namespace that is listed. */
static enum err add_aliases(struct listing *l, struct diag *why)
{
    const char *ns = l->config->namespace;
    struct naming naming;
    enum err e = names_of(l->config, &naming, why);

    for (size_t i = 0; !e && i < naming.alias_count; i++)
        if (!ns || str_eq(naming.aliases[i]->target.ns, str_of(ns)))
            add_alias(l, naming.aliases[i], &l->config->alias.at[i]);
    naming_finish(&naming);
    return e;
}

static void print_columns(struct listing *l, enum list_output output)
{
    struct listed_width width = line_width(output);

    if (l->services.count)
        listed_print_columns(&l->services, &width, stdout);
    if (l->services.count && l->services.alias_count)
        putchar('\n');
    listed_print_aliases(&l->services, stdout);
}

static void print_services(struct listing *l, enum list_output output)
{
    const char *ns = l->config->namespace;

    listed_sort(&l->services);
    if (l->services.count == 0)
        fprintf(stderr, "kube-tunnel: no services that can be reached%s%s\n",
                ns ? " in namespace " : "", ns ? ns : "");
    if (output == LIST_JSON)
        listed_print_json(&l->services, stdout);
    else if (output == LIST_NAME)
        listed_print_names(&l->services, stdout);
    else
        print_columns(l, output);
}

/* In the words of the page that a client would get. */
static void complain(enum err e, const struct diag *why)
{
    struct refusal r;

    refusal_set(&r, 502, "%s", diag_text(why, e));
    if (e == ERR_UNAUTHORIZED)
        refusal_unauthorized(&r);
    fprintf(stderr, "kube-tunnel: %s\n", r.first);
    if (r.detail[0])
        fprintf(stderr, "%s\n%s\n", r.detail, r.hint);
}

int daemon_list(const struct config *config, enum list_output output)
{
    struct listing l = { .config = config, .port = door_port(config) };
    struct diag why = { 0 };

    enum err e = open_listing(&l, &why);
    if (!e)
        e = add_aliases(&l, &why);
    if (!e && (e = ask_all(&l)) != OK)
        why = l.call.error.why;
    if (e)
        complain(e, &why);
    else
        print_services(&l, output);
    close_listing(&l);
    return e ? EXIT_FAILED : 0;
}
