/* daemon/daemon.c - builds all parts in order, runs them, destroys them in reverse
 *
 * THEORY OF OPERATION
 *
 *      loop ─ clusters ─ admin ─ serve ─ listeners ─ addresses ─ dns ─ control
 *
 * Each part uses those to its left and none to its right, so destroying them from right
 * to left leaves no dangling pointer.
 *
 * The steps of the end are in daemon/ending.h.
 */
#include "daemon/daemon.h"

#include <stdio.h>
#include <unistd.h>

#include "addresses/addresses.h"
#include "addresses/state_file.h"
#include "admin/admin.h"
#include "base/log.h"
#include "base/own.h"
#include "ca/folder.h"
#include "ca/leaves.h"
#include "cluster/clusters.h"
#include "cluster/metrics.h"
#include "cluster/settings.h"
#include "config/config.h"
#include "control/control.h"
#include "daemon/cluster_settings.h"
#include "daemon/daemon_state.h"
#include "daemon/dns_server.h"
#include "daemon/ending.h"
#include "daemon/limits.h"
#include "daemon/refusals.h"
#include "daemon/service_rules.h"
#include "daemon/memory.h"
#include "daemon/names.h"
#include "daemon/notify.h"
#include "daemon/orders.h"
#include "daemon/outputs.h"
#include "daemon/process.h"
#include "daemon/reload.h"
#include "daemon/signals.h"
#include "kube/service_account.h"
#include "listen/listen.h"
#include "net/changes.h"
#include "net/loop.h"
#include "net/name_lookup.h"
#include "net/outside_address.h"
#include "net/outside_dial.h"
#include "net/own_addresses.h"
#include "serve/policy.h"
#include "serve/proxy_users.h"
#include "serve/serve.h"
#include "upstream/tls_rules.h"

LOG_MODULE(daemon);

#define EXIT_FAILED 1
#define EXIT_USAGE 2

#define FIRST_CLUSTER 1 /* the number of the first cluster */

/* after a shorter stop no PING is sent to check the tunnels */
#define STOPPED_PROBE_MS 5000

#define OUTSIDE_LOOKUPS 32 /* names outside the cluster that are resolved at once */

static void start_addresses(struct daemon *d)
{
    d->address_file = state_file_path(d->config->name);
    d->addresses = addresses_create(&(struct addresses_parts){
        .loop = d->loop,
        .clusters = d->clusters,
        .config = d->config,
        .path = d->address_file,
        .promised_ms = ADDRESS_PROMISED_MS,
    });
    addresses_listen(d->addresses, d->listeners);
    limit_addresses(d);
}

static bool namespace_is_open(void *owner, struct str ns)
{
    const struct daemon *d = owner;
    return policy_opens(d->config, ns);
}

static enum err start_dns(struct daemon *d, struct diag *why)
{
    const struct dns_parts parts = {
        .loop = d->loop,
        .clusters = d->clusters,
        .naming = &d->naming,
        .is_open = namespace_is_open,
        .owner = d,
    };
    return dns_server_open(&parts, d->addresses, d->config, &d->dns, why);
}

static void on_change(struct task *t)
{
    struct daemon *d = container_of(t, struct daemon, on_change);
    if (d->clusters)
        clusters_check_tunnels(d->clusters, "the network changed");
}

/* Runs after the bytes that arrived meanwhile were read.  The pauses of a busy machine
 * are shorter. */
static void on_stopped(struct task *t)
{
    struct daemon *d = container_of(t, struct daemon, on_stopped);
    const struct sched *s = loop_sched(d->loop);

    if (s->stopped < STOPPED_PROBE_MS)
        return;
    log_info(NO_ID, "the process was stopped", LOG_U("ms", s->stopped));
    if (d->clusters)
        clusters_check_tunnels(d->clusters, "the process was stopped");
}

static void start_loop(struct daemon *d)
{
    d->loop = loop_create();
    signals_listen(d);
    ending_init(d);
    task_init(&d->on_change, loop_sched(d->loop), RANK_WORK, on_change);
    d->changes = changes_open(d->loop, &d->on_change);
    task_init(&d->on_stopped, loop_sched(d->loop), RANK_WORK, on_stopped);
    loop_sched(d->loop)->wake = &d->on_stopped;
    d->own_addresses = own_addresses_create(loop_sched(d->loop));
    d->outside = (struct outside_dialer){
        .loop = d->loop,
        .own = d->own_addresses,
        .lookups = name_lookups_create(OUTSIDE_LOOKUPS),
        .check = outside_address_check,
    };
    d->memory = memory_create(d->loop);
}

static bool listens(void *owner, const char *ip, uint16_t port)
{
    const struct daemon *d = owner;
    return listeners_have_port(d->listeners, port) &&
           own_addresses_include(d->own_addresses, ip);
}

/* Only the domain of the first cluster is used, whose names need no label. */
static void on_zone(void *owner, uint16_t number, const char *zone)
{
    struct daemon *d = owner;

    if (number != FIRST_CLUSTER)
        return;
    if (zone && naming_set_found_zone(&d->naming, zone)) {
        log_info(NO_ID, "cluster domain found", LOG_S("domain", zone));
        if (d->admin)
            admin_set_zone(d->admin, zone);
    }
    naming_end_look(&d->naming);
}

static bool free_tunnel(void *owner, const char *pod_key)
{
    const struct daemon *d = owner;
    return d->serve && serve_free_tunnel(d->serve, pod_key);
}

static void free_descriptor(void *owner)
{
    const struct daemon *d = owner;
    if (d->serve)
        serve_free_descriptor(d->serve);
}

static enum err start_clusters(struct daemon *d, struct diag *why)
{
    const struct config *c = d->config;
    const struct clusters_choice choice = clusters_choice_of(c, false);

    /* The namespace of this process's pod, not the served one, which is a setting. */
    d->own_ns = service_account_namespace(SERVICE_ACCOUNT_ROOT);
    const struct exec_settings exec = exec_settings_of(c);
    d->settings = cluster_settings_of(c);
    d->settings.plugins = exec_plugins_create(d->loop, &exec);
    d->settings.tunnels.room = (struct tunnel_room){ free_tunnel, free_descriptor, d };
    d->settings.upstream.own = own_pod(d->own_ns, d->own_name);
    d->settings.upstream.listeners = (struct own_listeners){ listens, d };
    d->settings.upstream.is_open = namespace_is_open;
    d->settings.upstream.is_open_owner = d;
    d->settings.on_zone = on_zone;
    d->settings.zone_owner = d;
    d->naming.looking = d->settings.find_zone;
    enum err e = service_rules_of(c, &d->settings.upstream.tls.rules, why);
    if (!e)
        e = clusters_create(d->loop, &d->settings, &choice, &d->clusters, why);
    if (!e && !clusters_status(d->clusters, 0).connected)
        /* the look-up begins when the first cluster is connected */
        naming_end_look(&d->naming);
    return e;
}

static void on_quiet(void *owner)
{
    struct daemon *d = owner;
    serve_trim(d->serve);
    clusters_trim(d->clusters);
}

static void limit(void *owner)
{
    struct daemon *d = owner;
    const struct exec_settings exec = exec_settings_of(d->config);

    exec_plugins_configure(d->settings.plugins, &exec);
    signals_reopen(d);
    limit_clients(d);
    limit_memory(d);
    limit_addresses(d);
    addresses_configure(d->addresses, d->config);
}

static struct reload *start_reload(struct daemon *d)
{
    return reload_open(&(struct reload_parts){
        .loop = d->loop,
        .source = d->source,
        .config = &d->config,
        .naming = &d->naming,
        .settings = &d->settings,
        .clusters = d->clusters,
        .serve = d->serve,
        .listeners = d->listeners,
        .outputs = d->outputs,
        .dns = d->dns,
        .limit = limit,
        .owner = d,
    });
}

/* The folder is used with the first connection whose TLS ends here. */
static void start_termination(struct daemon *d)
{
    AUTO_FREE char *folder = ca_folder_path();
    d->leaves = leaves_create(loop_sched(d->loop), folder);
    serve_terminate_tls(d->serve, d->leaves);
}

static enum err set_proxy_users(struct daemon *d, struct diag *why)
{
    struct proxy_users *users;
    enum err e = proxy_users_read(d->config->proxy_users, &users, why);

    if (!e)
        serve_set_proxy_users(d->serve, users);
    return e;
}

static enum err start_listeners(struct daemon *d, struct diag *why)
{
    d->metrics = (struct metric_printer){ cluster_metrics_print, d->clusters, NULL };
    metrics_add_printer(&d->metrics);
    d->admin = admin_create(d->clusters, d->config->cluster_domain);
    d->serve = serve_create(loop_sched(d->loop), loop_pool(d->loop), d->clusters,
                            d->config, &d->naming, d->admin);
    limit_clients(d);
    limit_memory(d);
    start_termination(d);
    serve_set_in_pod(d->serve, in_pod());
    serve_set_outside(d->serve, &d->outside);
    memory_on_quiet(d->memory, on_quiet, d);
    enum err e = outputs_open(d->loop, d->serve, d->config, &d->outputs, why);
    if (!e)
        e = set_proxy_users(d, why);
    if (!e)
        e = listeners_open(d->loop, d->serve, d->config, in_pod(), &d->listeners, why);
    if (e)
        return e;
    start_addresses(d);
    e = start_dns(d, why);
    if (!e)
        orders_listen(d);
    return e;
}

static enum err start(struct daemon *d, struct diag *why)
{
    start_loop(d);
    enum err e = names_of(d->config, &d->naming, why);
    if (!e)
        e = start_clusters(d, why);
    if (!e)
        e = start_listeners(d, why);
    if (!e)
        d->reload = start_reload(d);
    return e;
}

/* Destroys all that was started, in reverse. */
static void finish(struct daemon *d)
{
    control_destroy(d->control);
    reload_close(d->reload);
    dns_server_close(d->dns);
    addresses_destroy(d->addresses);
    free(d->address_file);
    listeners_close(d->listeners);
    if (d->memory)
        memory_on_quiet(d->memory, NULL, NULL);
    serve_destroy(d->serve);
    outputs_close(d->outputs);
    leaves_destroy(d->leaves);
    metrics_remove_printer(&d->metrics);
    admin_destroy(d->admin);
    clusters_destroy(d->clusters);
    exec_plugins_destroy(d->settings.plugins);
    tls_rules_unref(d->settings.upstream.tls.rules);
    memory_destroy(d->memory);
    name_lookups_destroy(d->outside.lookups);
    own_addresses_destroy(d->own_addresses);
    changes_close(d->changes);
    task_cancel(&d->on_change);
    loop_sched(d->loop)->wake = NULL;
    task_cancel(&d->on_stopped);
    signals_close(d);
    ending_cancel(d);
    loop_destroy(d->loop);
    naming_finish(&d->naming);
    free(d->own_ns);
    config_unref(d->config);
}

static void warn_insecure(void *owner, const struct cluster_status *s)
{
    (void)owner;
    if (s->target && s->target->insecure)
        log_warn(
            NO_ID,
            "insecure-skip-tls-verify: the API server is not verified, and any server "
            "in its place gets the credentials",
            LOG_S("context", s->name));
}

static void say_started(const struct daemon *d)
{
    const struct cluster_status first = clusters_status(d->clusters, 0);
    const struct kube_target *target = first.target;

    log_info(NO_ID, "started", LOG_S("version", VERSION), LOG_S("context", first.name),
             LOG_S("server", target ? target->host_header : "none"),
             LOG_S("namespace", target ? target->ns : ""), LOG_I("pid", getpid()));
    if (first.several)
        log_info(NO_ID, "several contexts", LOG_U("count", clusters_count(d->clusters)),
                 LOG_S("plain_names", first.name));
    clusters_each(d->clusters, warn_insecure, NULL);
    notify("READY=1");
}

/* At a terminal the error is printed as a sentence, else as a log line. */
static int print_start_error(const struct config *config, enum err e,
                             const struct diag *why, int status)
{
    log_flush(); /* earlier log lines come first */
    if (config->log_format == LOG_JSON)
        log_error(NO_ID, "cannot start", LOG_S("reason", diag_text(why, e)));
    else
        fprintf(stderr, "kube-tunnel: %s\n", diag_text(why, e));
    return status;
}

int daemon_run(const struct config *config, const struct config_source *source)
{
    struct daemon d = { .source = source };
    struct diag why = { 0 };

    enum err e = refusals_check(config, &why);
    if (e)
        return print_start_error(config, e, &why, EXIT_USAGE);
    d.config = config_ref(config);
    process_prepare();
    e = start(&d, &why);
    if (!e) {
        say_started(&d);
        loop_run(d.loop);
    }
    bool at_once = d.signals > 1;
    finish(&d);
    if (e)
        return print_start_error(config, e, &why, EXIT_FAILED);
    log_info(NO_ID, "stopped");
    log_flush();
    return at_once ? EXIT_FAILED : 0;
}
