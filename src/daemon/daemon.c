/* daemon/daemon.c - builds all parts in order, runs them, destroys them in reverse
 *
 * THEORY OF OPERATION
 *
 *      loop ─ clusters ─ admin ─ serve ─ listeners ─ addresses ─ dns ─ control
 *
 * Each part uses those to its left and none to its right, so destroying them from right
 * to left leaves no dangling pointer.
 *
 * The end has three steps, each begun when the one before is over: DRAINING (the
 * listeners close, sessions finish their exchange or are reset after drain-timeout),
 * PARTING (idle connections and tunnels are closed in order, for which they get
 * PARTING_MS), and then the loop stops.  A second signal skips the remaining steps.
 */
#include "daemon/daemon.h"

#include <signal.h>
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
#include "daemon/cgroup.h"
#include "daemon/cluster_settings.h"
#include "daemon/dns_server.h"
#include "daemon/refusals.h"
#include "daemon/service_rules.h"
#include "daemon/memory.h"
#include "daemon/names.h"
#include "daemon/notify.h"
#include "daemon/outputs.h"
#include "daemon/process.h"
#include "daemon/reload.h"
#include "kube/service_account.h"
#include "listen/clients.h"
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

#define PARTING_MS 500
#define FIRST_CLUSTER 1 /* the number of the first cluster */

/* after a shorter stop no PING is sent to check the tunnels */
#define STOPPED_PROBE_MS 5000

/* A shell that ends sends SIGHUP a moment before its terminal is gone. */
#define TERMINAL_MS 1000

#define OUTSIDE_LOOKUPS 32 /* names outside the cluster that are resolved at once */
#define BUFFER_MEMORY (256 * MIB) /* the default where no cgroup has a limit */

enum daemon_state { DAEMON_RUNNING, DAEMON_DRAINING, DAEMON_PARTING };

struct daemon {
    const struct config *config; /* a reference */
    const struct config_source *source;
    struct reload *reload;
    enum daemon_state state;
    unsigned signals; /* to stop, received */
    unsigned hangups; /* received */
    bool had_terminal;
    struct task on_signal, on_hangup, on_end, on_change, on_stopped;
    struct timer parting, terminal;
    struct loop_signal *terminate, *interrupt, *hangup, *reopen;
    struct task on_reopen;
    unsigned reopens; /* SIGUSR1 received */
    char own_name[OWN_NAME_ROOM];
    char *own_ns;
    struct own_addresses *own_addresses;
    struct outside_dialer outside;

    struct loop *loop;
    struct changes *changes;
    struct memory *memory;
    struct cluster_settings settings;
    struct clusters *clusters;
    struct naming naming;
    struct admin *admin;
    struct leaves *leaves;
    struct metric_printer metrics;
    struct outputs *outputs;
    struct serve *serve;
    struct listeners *listeners;
    char *address_file; /* owned; or NULL */
    struct addresses *addresses;
    struct dns_server *dns;
    struct control *control;
};

static void enter(struct daemon *d, enum daemon_state next)
{
    d->state = next;
}

static void close_listeners(struct daemon *d)
{
    if (d->addresses)
        addresses_listen(d->addresses, NULL);
    listeners_close(TAKE(d->listeners));
}

static void drain(struct daemon *d)
{
    log_info(NO_ID, "stopping", LOG_U("sessions", serve_sessions(d->serve)),
             LOG_U("drain_timeout_ms", d->config->drain_timeout_ms));
    notify("STOPPING=1");
    reload_close(TAKE(d->reload));
    dns_server_close(TAKE(d->dns));
    if (d->listeners)
        close_listeners(d);
    enter(d, DAEMON_DRAINING);
    serve_drain(d->serve, &d->on_end);
}

static void part(struct daemon *d)
{
    enter(d, DAEMON_PARTING);
    timer_set(&d->parting, PARTING_MS);
    outputs_drain(d->outputs, &d->on_end);
    clusters_drain(d->clusters, &d->on_end);
}

static void on_parted(struct timer *t)
{
    loop_stop(container_of(t, struct daemon, parting)->loop);
}

/* Woken when a part that drains may have finished. */
static void on_end(struct task *t)
{
    struct daemon *d = container_of(t, struct daemon, on_end);

    if (d->state == DAEMON_DRAINING && serve_idle(d->serve))
        part(d);
    if (d->state == DAEMON_PARTING && outputs_idle(d->outputs) &&
        clusters_idle(d->clusters))
        loop_stop(d->loop);
}

static void on_signal(struct task *t)
{
    struct daemon *d = container_of(t, struct daemon, on_signal);

    if (d->signals > 1)
        loop_stop(d->loop);
    else if (d->state == DAEMON_RUNNING)
        drain(d);
}

static bool lost_terminal(const struct daemon *d)
{
    return d->had_terminal && !start_has_terminal();
}

static void drain_without_terminal(struct daemon *d)
{
    log_info(NO_ID, "the terminal was closed");
    drain(d);
}

static void on_terminal(struct timer *t)
{
    struct daemon *d = container_of(t, struct daemon, terminal);

    if (d->state == DAEMON_RUNNING && lost_terminal(d))
        drain_without_terminal(d);
}

static enum err reload_now(struct daemon *d, struct setting_changes *ret,
                           struct diag *why)
{
    notify_reloading();
    enum err e = reload_run(d->reload, ret, why);
    notify("READY=1");
    return e;
}

/* Also sent when the terminal is closed, after which the process must not go on. */
static void on_hangup(struct task *t)
{
    struct daemon *d = container_of(t, struct daemon, on_hangup);

    if (d->state != DAEMON_RUNNING)
        return;
    if (lost_terminal(d)) {
        drain_without_terminal(d);
        return;
    }
    if (d->had_terminal)
        timer_set(&d->terminal, TERMINAL_MS);
    struct diag why = { "" };
    enum err e = d->reload ? reload_now(d, NULL, &why) : OK;
    (void)e; /* it was logged */
}

/* Was the signal ignored at the start?  nohup sets SIGHUP so. */
static bool is_ignored(int signum)
{
    struct sigaction present;
    return sigaction(signum, NULL, &present) == 0 && present.sa_handler == SIG_IGN;
}

static void order_stop(void *owner, bool now)
{
    struct daemon *d = owner;

    d->signals += now ? 2 : 1;
    task_wake(&d->on_signal);
}

/* New clients are refused from now on, and the process goes on until it is stopped. */
static void order_drain(void *owner)
{
    struct daemon *d = owner;

    if (d->state != DAEMON_RUNNING || !d->listeners)
        return;
    log_info(NO_ID, "draining", LOG_U("sessions", serve_sessions(d->serve)));
    reload_close(TAKE(d->reload));
    dns_server_close(TAKE(d->dns));
    close_listeners(d);
    serve_drain(d->serve, &d->on_end);
}

static const struct config *order_config(void *owner)
{
    const struct daemon *d = owner;
    return d->config;
}

static struct listeners *order_listeners(void *owner)
{
    const struct daemon *d = owner;
    return d->listeners;
}

static struct addresses *order_addresses(void *owner)
{
    const struct daemon *d = owner;
    return d->listeners ? d->addresses : NULL;
}

static size_t order_dns(void *owner, void (*each)(void *to, const char *address),
                        void *to)
{
    const struct daemon *d = owner;

    dns_each_address(dns_server_dns(d->dns), each, to);
    return dns_waiting(dns_server_dns(d->dns));
}

static const char *order_state(void *owner)
{
    const struct daemon *d = owner;

    if (d->state != DAEMON_RUNNING)
        return "stopping";
    return d->listeners ? "running" : "draining";
}

static enum err order_reload(void *owner, bool preview, struct setting_changes *ret,
                             struct diag *why)
{
    struct daemon *d = owner;

    if (!d->reload)
        return diag_set(why, ERR_CANCELLED, "kube-tunnel is stopping");
    return preview ? reload_preview(d->reload, ret, why) : reload_now(d, ret, why);
}

static void limit_addresses(struct daemon *d)
{
    if (d->addresses)
        addresses_limit(d->addresses, process_client_limit(1).files / 8);
}

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

/* Not to have the socket is no reason not to serve. */
static void open_control(struct daemon *d)
{
    const struct control_parts parts = {
        .loop = d->loop,
        .clusters = d->clusters,
        .serve = d->serve,
        .naming = &d->naming,
        .in_pod = in_pod(),
        .orders = { .stop = order_stop,
                    .reload = order_reload,
                    .drain = order_drain,
                    .config = order_config,
                    .listeners = order_listeners,
                    .addresses = order_addresses,
                    .dns = order_dns,
                    .state = order_state,
                    .owner = d },
    };
    struct diag why = { "" };

    if (!d->config->control)
        return;
    d->control = control_create(&parts);
    enum err e = control_listen(d->control, d->config->name, &why);
    if (e)
        log_info(NO_ID, "no control socket", LOG_S("reason", diag_text(&why, e)));
}

static void on_reopen(struct task *t)
{
    struct daemon *d = container_of(t, struct daemon, on_reopen);

    if (d->outputs)
        outputs_reopen(d->outputs);
}

static void listen_to_signals(struct daemon *d)
{
    task_init(&d->on_reopen, loop_sched(d->loop), RANK_WORK, on_reopen);
    d->reopen = loop_signal_open(d->loop, SIGUSR1, &d->reopens, &d->on_reopen);
    task_init(&d->on_signal, loop_sched(d->loop), RANK_WORK, on_signal);
    d->terminate = loop_signal_open(d->loop, SIGTERM, &d->signals, &d->on_signal);
    d->interrupt = loop_signal_open(d->loop, SIGINT, &d->signals, &d->on_signal);
    task_init(&d->on_hangup, loop_sched(d->loop), RANK_WORK, on_hangup);
    d->had_terminal = start_has_terminal();
    if (!is_ignored(SIGHUP))
        d->hangup = loop_signal_open(d->loop, SIGHUP, &d->hangups, &d->on_hangup);
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
    listen_to_signals(d);
    task_init(&d->on_end, loop_sched(d->loop), RANK_WORK, on_end);
    task_init(&d->on_change, loop_sched(d->loop), RANK_WORK, on_change);
    d->changes = changes_open(d->loop, &d->on_change);
    task_init(&d->on_stopped, loop_sched(d->loop), RANK_WORK, on_stopped);
    loop_sched(d->loop)->wake = &d->on_stopped;
    timer_init(&d->parting, loop_sched(d->loop), on_parted);
    timer_init(&d->terminal, loop_sched(d->loop), on_terminal);
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

static void limit_clients(struct daemon *d)
{
    size_t wanted = d->config->max_connections;
    struct client_limit limit = process_client_limit(wanted);

    serve_limit_clients(d->serve, limit.clients, limit.surplus);
    if (limit.clients < wanted)
        log_warn(NO_ID, "the limit on open files (ulimit -n) allows fewer clients",
                 LOG_U("open_files", limit.files), LOG_U("max_connections", wanted),
                 LOG_U("clients", limit.clients));
}

static void limit_memory(struct daemon *d)
{
    uint64_t wanted = d->config->buffer_memory;
    uint64_t cgroup = wanted == SIZE_AUTO ? cgroup_memory_max("") : 0;
    uint64_t limit = wanted != SIZE_AUTO ? wanted : cgroup ? cgroup / 2 : BUFFER_MEMORY;

    log_debug(NO_ID, "memory for buffered bytes", LOG_U("bytes", limit),
              LOG_U("cgroup", cgroup));
    serve_limit_memory(d->serve, (size_t)limit);
}

static void limit(void *owner)
{
    struct daemon *d = owner;
    const struct exec_settings exec = exec_settings_of(d->config);

    exec_plugins_configure(d->settings.plugins, &exec);
    task_wake(&d->on_reopen);
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
        open_control(d);
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
    loop_signal_close(d->reopen);
    task_cancel(&d->on_reopen);
    loop_signal_close(d->hangup);
    loop_signal_close(d->interrupt);
    loop_signal_close(d->terminate);
    timer_stop(&d->parting);
    timer_stop(&d->terminal);
    task_cancel(&d->on_end);
    task_cancel(&d->on_signal);
    task_cancel(&d->on_hangup);
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
