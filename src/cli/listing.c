/* cli/listing.c - lists the services that can be reached
 *
 * Queries the API server itself instead of a running kube-tunnel, so none need run.
 * Services that port-forward cannot reach are left out: external names, services without
 * a selector, ports that are not TCP; and so are namespaces that the settings exclude.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/own.h"
#include "catalog/objects.h"
#include "catalog/zone.h"
#include "cluster/clusters.h"
#include "config/config.h"
#include "cli/api_session.h"
#include "cli/progress.h"
#include "daemon/cluster_settings.h"
#include "cli/listing.h"
#include "cli/listed.h"
#include "daemon/names.h"
#include "daemon/process.h"
#include "kube/api.h"
#include "kube/credentials.h"
#include "kube/exec_plugin.h"
#include "listen/listen.h"
#include "net/loop.h"
#include "net/transfers.h"
#include "route/name.h"
#include "serve/policy.h"

#define EXIT_FAILED 1
#define LIST_MS 30000
/* time-out for finding the cluster's domain, if it is not a setting */
#define ZONE_MS 2000
#define AT_ONCE 16 /* how many clusters are queried at the same time */
#define HTTP_PORT 80
#define PORTS_WIDTH                                                                      \
    40 /* in a pipe: maximum width of the column of ports, which can be thousands */

/* A cluster that is queried. */
struct listing_of {
    struct listing *listing;
    size_t number;                /* index of the cluster */
    struct cluster_status status; /* borrowed from the clusters */
    char *home;
    struct transfers *transfers;
    struct api *api;
    struct api_call call;
    struct task answered;
    struct credentials_want want;
    bool authenticated; /* it has credentials */
    bool narrowed;      /* only its home namespace may be listed */
    /* finds the domain for names without a label, if it is no setting */
    struct zone_finder *zone;
    bool zone_known; /* the domain is known, or could not be found */
    bool done;
    enum err result;
    struct diag why;
};

struct listing {
    const struct config *config;
    uint16_t port; /* of a listener, for URLs */
    struct loop *loop;
    struct exec_plugins *plugins;
    struct clusters *clusters;
    struct listing_of *sources;
    size_t count, begun, running;
    char *found_zone; /* the domain of names without a label; NULL: the setting's */
    struct listed services;
};

/* Copies the ports that can be reached. */
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

/* The port in URLs: of the listener that is, or would be, open; 80 is omitted. */
static uint16_t listener_port(const struct config *c)
{
    uint16_t port = config_listen_port(c);

    return port ? port : listen_default_port(in_pod());
}

static char *url(const struct listing *l, char *host) /* taken over */
{
    AUTO_FREE char *owned = host;

    if (l->port == HTTP_PORT || l->port == 0)
        return xasprintf("http://%s/", owned);
    return xasprintf("http://%s:%u/", owned, l->port);
}

/* Sets the names and URLs, with the label of the cluster if needed. */
static void set_names(const struct listing_of *from, const struct service_spec *s,
                      struct listed_service *row)
{
    const struct listing *l = from->listing;
    const char *zone = l->config->cluster_domain, *label = from->status.label;
    char *full, *local;

    if (from->status.plain) {
        full = xasprintf("%s.%s.svc.%s", s->name, s->ns, zone);
        local = name_under_localhost(s->name, s->ns, str_of(zone));
        row->short_name = xasprintf("%s.%s", s->name, s->ns);
    } else {
        full = xasprintf("%s.%s.svc.%s.k8s", s->name, s->ns, label);
        local = xasprintf("%s.%s.%s.localhost", s->name, s->ns, label);
        row->short_name = xstrdup(full);
    }
    row->local = url(l, local ? local : xstrdup(full));
    row->full = url(l, full);
}

static void add_service(struct listing_of *from, const struct service_spec *s)
{
    struct listed_service row = { 0 };

    copy_ports(s, &row);
    if (!row.port_count) {
        free(row.ports);
        return;
    }
    row.plain = from->status.plain;
    row.ns = xstrdup(s->ns);
    row.name = xstrdup(s->name);
    if (from->status.several) {
        row.context = xstrdup(from->status.name);
        row.cluster = xstrdup(from->status.label);
    }
    set_names(from, s, &row);
    listed_add(&from->listing->services, &row);
}

static void spec_unrefp(struct service_spec **s)
{
    spec_unref(*s);
}

static void on_object(void *owner, json_t *object)
{
    struct listing_of *from = owner;
    AUTO(spec_unrefp) struct service_spec *s = NULL;

    if (spec_parse(object, &s, NULL))
        return; /* its names would not be served either */
    if (s->kind == SERVICE_NORMAL && s->selector &&
        policy_opens(from->listing->config, str_of(s->ns)))
        add_service(from, s);
}

/* List one namespace, or all when it is NULL. */
static void list_namespace(struct listing_of *s, const char *ns)
{
    AUTO_FREE char *path = ns ? xasprintf("/api/v1/namespaces/%s/services", ns)
                              : xstrdup("/api/v1/services");

    s->call =
        (struct api_call){ .on_object = on_object, .owner = s, .wake = &s->answered };
    api_list(s->api, &s->call, path, NULL, LIST_MS);
    task_wake(&s->answered);
}

static void on_zone(void *owner, const char *zone)
{
    struct listing_of *s = owner;

    s->zone_known = true;
    if (zone) {
        free(s->listing->found_zone);
        s->listing->found_zone = xstrdup(zone);
    }
    task_wake(&s->answered);
}

/* Looks for the cluster's domain at the same time as the list; the output waits for
 * both. */
static void find_zone(struct listing_of *s)
{
    if (!s->status.plain || config_is_set(s->listing->config, SETTING_cluster_domain))
        s->zone_known = true;
    else
        s->zone =
            zone_finder_create(loop_sched(s->listing->loop), s->api, ZONE_MS, on_zone, s);
}

/* Puts the domain into the rows, which were added before it was known. */
static void apply_zone(struct listing *l)
{
    for (size_t i = 0; l->found_zone && i < l->services.count; i++) {
        struct listed_service *row = &l->services.at[i];
        if (!row->plain)
            continue;
        free(row->full);
        row->full = url(l, xasprintf("%s.%s.svc.%s", row->name, row->ns, l->found_zone));
    }
}

static enum err open_api(struct listing_of *s, struct diag *why)
{
    struct listing *l = s->listing;
    struct kube_target *target;
    enum err e = clusters_target(l->clusters, s->number, &target, why);

    if (e)
        return e;
    s->home = xstrdup(target->ns);
    s->transfers = transfers_create(l->loop);
    s->api = api_create(l->loop, s->transfers, target, l->plugins);
    return OK;
}

static void close_api(struct listing_of *s)
{
    api_call_finish(&s->call);
    zone_finder_destroy(TAKE(s->zone));
    credentials_leave(&s->want);
    api_destroy(TAKE(s->api));
    if (s->transfers)
        transfers_destroy(TAKE(s->transfers));
    free(TAKE(s->home));
    task_cancel(&s->answered);
}

/* Begins further clusters in their order, up to AT_ONCE at the same time. */
static void begin_more(struct listing *l)
{
    while (l->running < AT_ONCE && l->begun < l->count) {
        struct listing_of *s = &l->sources[l->begun++];
        s->result = open_api(s, &s->why);
        s->done = s->result != OK;
        l->running += !s->done;
        task_wake(&s->answered);
    }
}

static void say_narrowed(const struct listing_of *s)
{
    fprintf(stderr,
            "kube-tunnel: services may not be listed in the whole cluster%s%s; these are "
            "those of namespace %s (another one: -n)\n",
            s->status.several ? " of context " : "",
            s->status.several ? s->status.name : "", s->home);
}

static void conclude(struct listing_of *s, enum err e, const struct diag *why)
{
    struct listing *l = s->listing;

    s->done = true;
    s->result = e;
    s->why = *why;
    if (!e && s->narrowed)
        say_narrowed(s);
    close_api(s);
    l->running--;
    begin_more(l);
    if (!l->running)
        loop_stop(l->loop);
}

/* Gets the credentials first: a plugin may run for long and prompt at the terminal, which
 * must not count towards the time-out of the list. */
static void authenticate(struct listing_of *s)
{
    struct credential *credential = NULL;
    struct diag why = { "" };
    enum err e = credentials_get(api_credentials(s->api), &s->want, &credential, &why);

    credential_unref(credential);
    if (e == ERR_AGAIN)
        return;
    s->authenticated = true;
    if (e) {
        conclude(s, e, &why);
        return;
    }
    list_namespace(s, s->listing->config->namespace);
    find_zone(s);
}

static void on_listing_answer(struct task *t)
{
    struct listing_of *s = container_of(t, struct listing_of, answered);

    if (s->done)
        return;
    if (!s->authenticated) {
        authenticate(s);
        return;
    }
    if (s->call.result == ERR_AGAIN)
        return;
    if (s->call.result == ERR_FORBIDDEN && !s->listing->config->namespace &&
        !s->narrowed) {
        s->narrowed = true;
        api_call_finish(&s->call);
        list_namespace(s, s->home);
        return;
    }
    if (s->call.result || s->zone_known)
        conclude(s, s->call.result, &s->call.error.why);
}

static enum err open_listing(struct listing *l, struct diag *why)
{
    const struct clusters_choice choice = clusters_choice_of(l->config, true);

    struct exec_settings exec = exec_settings_of(l->config);

    l->loop = loop_create();
    exec.shown = true;
    l->plugins = exec_plugins_create(l->loop, &exec);
    enum err e = clusters_create(l->loop, NULL, &choice, &l->clusters, why);
    if (e)
        return e;
    l->count = clusters_count(l->clusters);
    l->services.several = l->count > 1;
    l->sources = xcalloc(l->count, sizeof(*l->sources));
    for (size_t i = 0; i < l->count; i++) {
        struct listing_of *s = &l->sources[i];
        s->listing = l;
        s->number = i;
        s->status = clusters_status(l->clusters, i);
        task_init(&s->answered, loop_sched(l->loop), RANK_WORK, on_listing_answer);
        s->want.wake = &s->answered;
    }
    return OK;
}

static void close_listing(struct listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        close_api(&l->sources[i]);
    free(l->sources);
    exec_plugins_destroy(l->plugins);
    clusters_destroy(l->clusters);
    listed_finish(&l->services);
    free(l->found_zone);
    loop_destroy(l->loop);
}

/* The width of the terminal; without one lines are not limited, only the ports' column
 * is. */
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
    bool of_service = a->target.kind == NAME_SERVICE;
    struct listed_alias row = {
        .name = xstrdup(a->name),
        .url = url(l, xasprintf("%s.localhost", a->name)),
        .target = xasprintf("%s%s%s", text->target, text->port ? ":" : "",
                            text->port ? text->port : ""),
        .service = of_service ? str_dup(a->target.service) : NULL,
        .ns = str_dup(a->target.ns),
        .cluster = str_empty(a->target.cluster) ? NULL : str_dup(a->target.cluster),
    };

    listed_add_alias(&l->services, &row);
}

/* Adds the aliases, if one namespace is listed only those into it. */
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

/* Prints the errors of clusters that could not be listed, and returns how many there
 * were. */
static size_t print_source_errors(const struct listing *l)
{
    size_t failed = 0;

    for (size_t i = 0; i < l->count; i++) {
        const struct listing_of *s = &l->sources[i];
        failed += s->result != OK;
        if (s->result)
            api_session_print_error(s->status.several ? s->status.name : NULL, s->result,
                                    &s->why);
    }
    return failed;
}

int list_services(const struct config *config, enum list_output output)
{
    struct listing l = { .config = config, .port = listener_port(config) };
    struct diag why = { 0 };
    size_t failed = 0;

    enum err e = open_listing(&l, &why);
    if (!e)
        e = add_aliases(&l, &why);
    if (e) {
        api_session_print_error(NULL, e, &why);
    } else {
        struct progress progress;
        progress_begin(&progress, loop_sched(l.loop), "listing services",
                       &l.services.count);
        begin_more(&l);
        if (l.running)
            loop_run(l.loop);
        progress_end(&progress);
        failed = print_source_errors(&l);
        apply_zone(&l);
        if (failed < l.count)
            print_services(&l, output);
    }
    close_listing(&l);
    return e || failed ? EXIT_FAILED : 0;
}
