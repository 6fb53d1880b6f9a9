/* bench/spdy/main.c - bench-spdy: what the chain behind kube-tunnel can do at best
 *
 *     bench-spdy --kubeconfig FILE --namespace NAME --pod NAME --port N [OPTIONS]
 *
 * Opens tunnels and pairs, as kube-tunnel does, and repeats one GET on each pair.  Prints
 * what bench-load prints, so bench/load.py reads both.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/str.h"
#include "bench/load/report.h"
#include "bench/spdy/driver.h"
#include "kube/target_load.h"

static const char usage[] =
    "bench-spdy --kubeconfig FILE --namespace NAME --pod NAME --port N [OPTIONS]\n"
    "  --connections N  pairs (1)\n"
    "  --per-tunnel N   pairs that share a tunnel (1)\n"
    "  --host NAME      the Host header (localhost)\n"
    "  --path PATH      (/)\n"
    "  --grpc           unary gRPC calls of that path, in HTTP/2\n"
    "  --duration TIME  stop after so long (10s)\n"
    "  --settle TIME    do not count the beginning (0)\n"
    "  --patience TIME  for one request (10s)\n";

struct options {
    const char *kubeconfig, *ns, *pod, *host, *path;
    uint64_t port, connections, per_tunnel, duration_ms, settle_ms, patience_ms;
    bool grpc;
};

enum {
    OPT_KUBECONFIG = 1,
    OPT_NAMESPACE,
    OPT_POD,
    OPT_PORT,
    OPT_CONNECTIONS,
    OPT_PER_TUNNEL,
    OPT_HOST,
    OPT_PATH,
    OPT_GRPC,
    OPT_DURATION,
    OPT_SETTLE,
    OPT_PATIENCE
};

static const struct option long_options[] = {
    { "kubeconfig", required_argument, NULL, OPT_KUBECONFIG },
    { "namespace", required_argument, NULL, OPT_NAMESPACE },
    { "pod", required_argument, NULL, OPT_POD },
    { "port", required_argument, NULL, OPT_PORT },
    { "connections", required_argument, NULL, OPT_CONNECTIONS },
    { "per-tunnel", required_argument, NULL, OPT_PER_TUNNEL },
    { "host", required_argument, NULL, OPT_HOST },
    { "path", required_argument, NULL, OPT_PATH },
    { "grpc", no_argument, NULL, OPT_GRPC },
    { "duration", required_argument, NULL, OPT_DURATION },
    { "settle", required_argument, NULL, OPT_SETTLE },
    { "patience", required_argument, NULL, OPT_PATIENCE },
    { 0 },
};

static enum err take_text(const char **field, const char *value)
{
    *field = value;
    return OK;
}

static enum err take_option(struct options *o, int option, const char *value)
{
    switch (option) {
    case OPT_KUBECONFIG:
        return take_text(&o->kubeconfig, value);
    case OPT_NAMESPACE:
        return take_text(&o->ns, value);
    case OPT_POD:
        return take_text(&o->pod, value);
    case OPT_HOST:
        return take_text(&o->host, value);
    case OPT_PATH:
        return take_text(&o->path, value);
    case OPT_GRPC:
        o->grpc = true;
        return OK;
    case OPT_PORT:
        return str_to_uint(str_of(value), UINT16_MAX, &o->port);
    case OPT_CONNECTIONS:
        return str_to_uint(str_of(value), 4096, &o->connections);
    case OPT_PER_TUNNEL:
        return str_to_uint(str_of(value), 4096, &o->per_tunnel);
    case OPT_DURATION:
        return str_to_duration_ms(str_of(value), &o->duration_ms);
    case OPT_SETTLE:
        return str_to_duration_ms(str_of(value), &o->settle_ms);
    case OPT_PATIENCE:
        return str_to_duration_ms(str_of(value), &o->patience_ms);
    default:
        return ERR_CONFIG;
    }
}

static enum err read_options(struct options *o, int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if (take_option(o, option, optarg))
            return ERR_CONFIG;
    bool enough = o->pod && o->port && o->connections && o->per_tunnel;
    return enough && optind == argc ? OK : ERR_CONFIG;
}

static enum err drive(const struct options *o, const struct kube_target *target,
                      struct diag *why)
{
    AUTO_FREE char *head = plan_request(o->host, o->path, NULL, 0);
    struct plan p = {
        .head = head,
        .head_len = strlen(head),
        .grpc_host = o->grpc ? o->host : NULL,
        .grpc_path = o->path,
        .connections = (size_t)o->connections,
        .settle_ns = o->settle_ms * 1000000,
        .duration_ns = o->duration_ms * 1000000,
        .patience_ns = o->patience_ms * 1000000,
    };
    struct driver_goal goal = { target, target->ns, o->pod, (uint16_t)o->port,
                                (size_t)o->per_tunnel };
    return driver_run(&goal, &p, report_counting, report_counted, why);
}

int main(int argc, char **argv)
{
    struct options o = { .connections = 1,
                         .per_tunnel = 1,
                         .host = "localhost",
                         .path = "/",
                         .duration_ms = 10000,
                         .patience_ms = 10000 };
    struct kube_target *target = NULL;
    struct diag why = { 0 };

    signal(SIGPIPE, SIG_IGN);
    if (read_options(&o, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    enum err e = kube_target_load(o.kubeconfig, NULL, o.ns, &target, &why);
    if (!e)
        e = drive(&o, target, &why);
    kube_target_destroy(target);
    if (e)
        fprintf(stderr, "bench-spdy: %s\n", why.text);
    return e ? 1 : 0;
}
