/* cli/port_forward.c - kube-tunnel port-forward: kubectl's command line, lines and exit statuses
 *
 * The work is done in forward/.  Usage errors exit with 1, as kubectl's do.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "base/own.h"
#include "cli/api_session.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "config/setting.h"
#include "daemon/cluster_settings.h"
#include "daemon/process.h"
#include "forward/forward.h"
#include "listen/clients.h"
#include "net/changes.h"
#include "tunnel/tunnels.h"

#define FILE_MAX ((size_t)1024 * 1024)
#define RUNNING_MS 60000 /* --pod-running-timeout */
#define IDLE_MS (60 * 60 * 1000)

static void port_forward_help(void)
{
    print_help(
        "Usage: kube-tunnel port-forward TYPE/NAME [LOCAL:]REMOTE...\n"
        "       [TYPE/NAME [LOCAL:]REMOTE...]...\n"
        "\n"
        "Forward local ports to a pod, as kubectl port-forward does: TYPE is pod (the\n"
        "default), deploy, rs, sts, svc, ds, job or rc. It goes on when the pod is\n"
        "replaced, the container refuses a connection or the API server restarts.\n"
        "LOCAL 0 or :REMOTE picks a free port. REMOTE may be the name of a port.\n"
        "\n"
        "  -n, --namespace NS     Of the targets\n"
        "      --context NAME     Context of the kubeconfig\n"
        "      --kubeconfig FILE  The kubeconfig\n"
        "      --address LIST     Addresses to listen on (localhost)\n"
        "      --pod-running-timeout DURATION\n"
        "                         Wait so long for the first pod (1m0s)\n"
        "  -l, --selector LABELS  Forward to a pod with these labels\n"
        "  -f, --filename FILE    Forward what this file has\n"
        "\n"
        "  port-forward deploy/web 8080:80\n"
        "  port-forward svc/web 8080:http svc/db 5432\n"
        "  port-forward -l app=web -n shop :8080");
}

int port_forward_usage_error(const char *text)
{
    fprintf(stderr, "error: %s\nSee '%s port-forward --help' for usage.\n", text,
            program_name());
    return EXIT_FAILED;
}

static int print_plain_error(const char *text)
{
    fprintf(stderr, "error: %s\n", text);
    return EXIT_FAILED;
}

/* --- what the command line says --- */

struct request {
    struct config *config;
    struct texts addresses;
    struct forward_specs specs;
    uint64_t pod_running_ms;
};

static void request_finish(struct request *r)
{
    texts_finish(&r->addresses);
    forward_specs_finish(&r->specs);
    config_unref(r->config);
}

static int read_addresses(const struct args *a, struct request *r)
{
    for (size_t i = 0; i < a->own_count; i++) {
        struct diag why = { "" };
        if (strcmp(a->own[i].name, "address") != 0)
            continue;
        enum err e = forward_addresses_add(&r->addresses, str_of(a->own[i].value), &why);
        if (e)
            return print_plain_error(diag_text(&why, e));
    }
    return EXIT_OK;
}

static int read_timeout(const struct args *a, struct request *r)
{
    const char *text = args_own(a, "pod-running-timeout");
    struct str digits = str_of(text);

    r->pod_running_ms = RUNNING_MS;
    if (!text)
        return EXIT_OK;
    bool negative = text[0] == '-';
    if (negative)
        digits = str_skip(digits, 1);
    if (str_to_duration_ms(digits, &r->pod_running_ms)) {
        AUTO_FREE char *problem = xasprintf(
            "invalid argument \"%s\" for \"--pod-running-timeout\" flag: \"%s\" is not a "
            "duration, such as 30s",
            text, text);
        return port_forward_usage_error(problem);
    }
    if (negative || !r->pod_running_ms)
        return port_forward_usage_error("--pod-running-timeout must be higher than zero");
    return EXIT_OK;
}

static int read_file(const char *path, struct request *r)
{
    AUTO_FREE char *text = NULL;
    struct diag why = { "" };
    size_t len;
    bool is_input = strcmp(path, "-") == 0;
    enum err e = is_input ? file_read_input(FILE_MAX, &text, &len, &why)
                          : file_read(path, FILE_MAX, &text, &len, &why);

    if (!e)
        e = forward_file_parse((struct str){ text, len }, is_input ? FILE_INPUT : path,
                               &r->addresses, &r->specs, &why);
    return e ? print_plain_error(diag_text(&why, e)) : EXIT_OK;
}

static int read_files(const struct args *a, struct request *r)
{
    for (size_t i = 0; i < a->own_count; i++) {
        bool is_file = strcmp(a->own[i].name, "filename") == 0;
        int status = is_file ? read_file(a->own[i].value, r) : EXIT_OK;
        if (status)
            return status;
    }
    return EXIT_OK;
}

static int read_targets(const struct args *a, const char *const *words, size_t count,
                        struct request *r)
{
    struct diag why = { "" };
    enum err e = forward_words_parse(words, count, args_own(a, "selector"), &r->addresses,
                                     &r->specs, &why);

    if (e == ERR_NOT_CONFIGURED)
        return port_forward_usage_error(diag_text(&why, e));
    if (e)
        return print_plain_error(diag_text(&why, e));
    int status = read_files(a, r);
    if (!status && !r->specs.count)
        return port_forward_usage_error(
            "TYPE/NAME and list of ports are required for port-forward");
    return status;
}

static int read_settings(const struct args *a, struct request *r)
{
    struct diag why = { "" };
    enum err e = read_config(a, &r->config, &why);

    if (e)
        return port_forward_usage_error(diag_text(&why, e));
    if (r->config->contexts.count > 1)
        return port_forward_usage_error("port-forward uses one context");
    if (start_log(r->config))
        return EXIT_FAILED;
    if (!config_is_set(r->config, SETTING_log_level))
        log_set_level(LEVEL_ERROR); /* what happens is reported in sentences */
    return EXIT_OK;
}

/* --- the work --- */

struct forwarding {
    struct api_session session;
    struct clients *clients;
    struct forward *forward;
    struct changes *changes;
    struct task on_change, on_interrupt;
    struct loop_signal *interrupt;
    unsigned interrupts;
    bool killed;
    int status;
};

/* Scripts wait for these lines.  Without a reader it ends as kubectl does, so that
 * `port-forward ... | grep -m1 Forwarding` leaves no process behind. */
static void print_out(void *owner, const char *line)
{
    (void)owner;
    progress_end_call();
    puts(line);
    if (fflush(stdout) && errno == EPIPE) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
}

/* What the API server or a node has written may not control the terminal. */
static void print_err(void *owner, const char *line)
{
    AUTO_FREE char *safe = xstrdup(line);

    (void)owner;
    progress_end_call();
    for (char *at = safe; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 127)
            *at = ' ';
    fprintf(stderr, "%s\n", safe);
}

static void on_failed(void *owner)
{
    struct forwarding *f = owner;

    f->status = EXIT_FAILED;
    loop_stop(f->session.loop);
}

/* As kubectl: before the ports are open the signal has its usual effect. */
static void on_interrupt(struct task *t)
{
    struct forwarding *f = container_of(t, struct forwarding, on_interrupt);

    f->killed = !forward_is_listening(f->forward);
    loop_stop(f->session.loop);
}

static void on_network(struct task *t)
{
    struct forwarding *f = container_of(t, struct forwarding, on_change);

    if (f->forward)
        forward_check(f->forward, "the network changed");
}

static bool allows(void *owner, const struct peer *peer)
{
    const struct forwarding *f = owner;
    return clients_allow(f->clients, peer);
}

static void forward_until_stopped(struct forwarding *f, const struct request *r,
                                  struct tunnels *tunnels)
{
    struct loop *loop = f->session.loop;
    const struct forward_parts parts = {
        .loop = loop,
        .api = f->session.api,
        .tunnels = tunnels,
        .specs = &r->specs,
        .ns = api_target(f->session.api)->ns,
        .pod_running_ms = r->pod_running_ms,
        .replay_buffer = (size_t)r->config->replay_buffer,
        .connections_max = process_client_limit(r->config->max_connections).clients,
        .half_close = r->config->half_close,
        .allows = allows,
        .owner = f,
        .report = { print_out, print_err, on_failed, f },
    };

    task_init(&f->on_interrupt, loop_sched(loop), RANK_WORK, on_interrupt);
    task_init(&f->on_change, loop_sched(loop), RANK_WORK, on_network);
    f->interrupt = loop_signal_open(loop, SIGINT, &f->interrupts, &f->on_interrupt);
    f->changes = changes_open(loop, &f->on_change);
    f->forward = forward_open(&parts);
    progress_begin_call("waiting for a pod that runs, and for its tunnel");
    loop_run(loop);
    progress_end_call();
    forward_close(TAKE(f->forward));
    changes_close(f->changes);
    loop_signal_close(f->interrupt);
    task_cancel(&f->on_change);
    task_cancel(&f->on_interrupt);
}

static enum err with_session(struct forwarding *f, const struct request *r,
                             struct diag *why)
{
    const struct start start = start_look(false, in_pod());
    struct tunnel_settings limits = tunnel_settings_of(r->config);
    struct tunnels *tunnels = NULL;

    if (!config_is_set(r->config, SETTING_idle_timeout_ms))
        limits.idle_ms = IDLE_MS;
    enum err e = clients_create(&r->config->clients, &start, &f->clients, why);
    if (!e)
        e = tunnels_create(f->session.loop, f->session.transfers, f->session.api, &limits,
                           &tunnels, why);
    if (!e)
        forward_until_stopped(f, r, tunnels);
    tunnels_destroy(tunnels);
    clients_destroy(f->clients);
    return e;
}

static int forward_ports(const struct request *r)
{
    struct forwarding f = { .status = EXIT_OK };
    struct diag why = { "" };

    process_prepare();
    enum err e = api_session_open(&f.session, r->config, 0, &why);
    if (!e)
        e = with_session(&f, r, &why);
    api_session_close(&f.session);
    log_flush();
    if (f.killed) {
        signal(SIGINT, SIG_DFL);
        raise(SIGINT);
    }
    return e ? print_plain_error(diag_text(&why, e)) : f.status;
}

static int port_forward(const struct args *a, const char *const *words, size_t word_count)
{
    AUTO(request_finish) struct request r = { 0 };
    int status = read_timeout(a, &r);

    if (!status)
        status = read_addresses(a, &r);
    if (!status)
        status = read_targets(a, words, word_count, &r);
    if (!status)
        status = read_settings(a, &r);
    return status ? status : forward_ports(&r);
}

const struct command port_forward_command = {
    .name = "port-forward",
    .summary = "Forward local ports to a pod, as kubectl does",
    .help = port_forward_help,
    .run = port_forward,
};
