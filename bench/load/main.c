/* bench/load/main.c - bench-load: the load generator of every figure in bench/
 *
 *     bench-load [OPTIONS] ADDRESS:PORT          put a load on it
 *     bench-load [OPTIONS] --burst N ADDRESS:PORT
 *                                                time until N raw connections echoed
 *     bench-load [OPTIONS] --cold -- COMMAND...  time from its start to the first 200
 *
 * One thread, so that on a small machine it leaves room for what it measures.  On
 * standard output "counting" when the settling time is over, "counted" at the end, then
 * the result, one JSON object on a line; connections are closed after that.  A reader
 * that looks at a process at both words has looked at the requests of the result and at
 * no others.  Exit 0 also when requests failed: the result counts them.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/str.h"
#include "bench/load/burst.h"
#include "bench/load/cold.h"
#include "bench/load/report.h"
#include "bench/load/run.h"

static const char usage[] =
    "bench-load [OPTIONS] ADDRESS:PORT\n"
    "bench-load [OPTIONS] --burst N ADDRESS:PORT\n"
    "bench-load [OPTIONS] --cold -- COMMAND...   ({port} in it is a free port)\n"
    "  --host NAME         the Host header (localhost)\n"
    "  --path PATH         (/)\n"
    "  --header LINE       one more header\n"
    "  --connections N     (1)\n"
    "  --fresh             a new connection for each request\n"
    "  --grpc              unary gRPC calls of that path, in HTTP/2\n"
    "  --tls NAME          TLS, with that server name\n"
    "  --raw               no HTTP: connect, send a byte, read it back, close\n"
    "  --proxy connect|socks5  the same through a proxy, to --target\n"
    "  --target HOST:PORT\n"
    "  --rate N            requests per second of all together (as fast as it goes)\n"
    "  --upload BYTES      POST that many instead of GET\n"
    "  --requests N        stop after so many; bursts: so many of them (1)\n"
    "  --duration TIME     stop after so long (10s); the limit when --requests is given\n"
    "  --settle TIME       do not count the beginning (0)\n"
    "  --patience TIME     for one request (10s)\n";

struct options {
    const char *host, *path, *header, *proxy, *target, *tls;
    uint64_t connections, rate, upload, requests, burst;
    uint64_t duration_ms, settle_ms, patience_ms;
    bool fresh, raw, grpc, cold;
};

enum {
    OPT_HOST = 1,
    OPT_PATH,
    OPT_HEADER,
    OPT_CONNECTIONS,
    OPT_FRESH,
    OPT_RAW,
    OPT_GRPC,
    OPT_TLS,
    OPT_PROXY,
    OPT_TARGET,
    OPT_BURST,
    OPT_RATE,
    OPT_UPLOAD,
    OPT_REQUESTS,
    OPT_DURATION,
    OPT_SETTLE,
    OPT_PATIENCE,
    OPT_COLD
};

static const struct option long_options[] = {
    { "host", required_argument, NULL, OPT_HOST },
    { "path", required_argument, NULL, OPT_PATH },
    { "header", required_argument, NULL, OPT_HEADER },
    { "connections", required_argument, NULL, OPT_CONNECTIONS },
    { "fresh", no_argument, NULL, OPT_FRESH },
    { "raw", no_argument, NULL, OPT_RAW },
    { "grpc", no_argument, NULL, OPT_GRPC },
    { "tls", required_argument, NULL, OPT_TLS },
    { "proxy", required_argument, NULL, OPT_PROXY },
    { "target", required_argument, NULL, OPT_TARGET },
    { "burst", required_argument, NULL, OPT_BURST },
    { "rate", required_argument, NULL, OPT_RATE },
    { "upload", required_argument, NULL, OPT_UPLOAD },
    { "requests", required_argument, NULL, OPT_REQUESTS },
    { "duration", required_argument, NULL, OPT_DURATION },
    { "settle", required_argument, NULL, OPT_SETTLE },
    { "patience", required_argument, NULL, OPT_PATIENCE },
    { "cold", no_argument, NULL, OPT_COLD },
    { 0 },
};

static enum err take_option(struct options *o, int option, struct str value)
{
    switch (option) {
    case OPT_HOST:
        o->host = value.at;
        return OK;
    case OPT_PATH:
        o->path = value.at;
        return OK;
    case OPT_HEADER:
        o->header = value.at;
        return OK;
    case OPT_CONNECTIONS:
        return str_to_uint(value, 4096, &o->connections);
    case OPT_FRESH:
        o->fresh = true;
        return OK;
    case OPT_RAW:
        o->raw = true;
        return OK;
    case OPT_GRPC:
        o->grpc = true;
        return OK;
    case OPT_TLS:
        o->tls = value.at;
        return OK;
    case OPT_PROXY:
        o->proxy = value.at;
        return OK;
    case OPT_TARGET:
        o->target = value.at;
        return OK;
    case OPT_BURST:
        return str_to_uint(value, 4096, &o->burst);
    case OPT_RATE:
        return str_to_uint(value, 10000000, &o->rate);
    case OPT_UPLOAD:
        return str_to_uint(value, UINT64_MAX / 4, &o->upload);
    case OPT_REQUESTS:
        return str_to_uint(value, UINT64_MAX / 4, &o->requests);
    case OPT_DURATION:
        return str_to_duration_ms(value, &o->duration_ms);
    case OPT_SETTLE:
        return str_to_duration_ms(value, &o->settle_ms);
    case OPT_PATIENCE:
        return str_to_duration_ms(value, &o->patience_ms);
    case OPT_COLD:
        o->cold = true;
        return OK;
    default:
        return ERR_CONFIG;
    }
}

static enum err read_options(struct options *o, int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "+", long_options, NULL)) != -1)
        if (take_option(o, option, str_of(optarg)))
            return ERR_CONFIG;
    return o->connections > 0 && optind < argc ? OK : ERR_CONFIG;
}

static struct plan make_plan(const struct options *o)
{
    struct plan p = {
        .head =
            o->raw ? xstrdup("\1") : plan_request(o->host, o->path, o->header, o->upload),
        .upload = o->upload,
        .connections = (size_t)o->connections,
        .fresh = o->fresh || o->raw,
        .raw = o->raw,
        .tls_name = o->tls,
        .grpc_host = o->grpc ? o->host : NULL,
        .grpc_path = o->path,
        .rate = (double)o->rate,
        .settle_ns = o->settle_ms * 1000000,
        .duration_ns = o->duration_ms * 1000000,
        .requests = o->requests,
        .patience_ns = o->patience_ms * 1000000,
    };
    p.head_len = strlen(p.head);
    return p;
}

/* IPv4 is all that is needed here. */
static enum err read_address(struct plan *p, const char *text)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    struct str host;
    uint64_t port;
    struct str rest = str_cut_last(str_of(text), ':', &host);
    AUTO_FREE char *ip = str_dup(host);

    if (str_to_uint(rest, UINT16_MAX, &port) || inet_pton(AF_INET, ip, &a.sin_addr) != 1)
        return ERR_CONFIG;
    a.sin_port = htons((uint16_t)port);
    memcpy(&p->address, &a, sizeof(a));
    p->address_len = sizeof(a);
    return OK;
}

static enum err time_cold_start(const struct plan *p, char **command)
{
    uint64_t ns;
    enum err e = cold_start(p, command, &ns);
    if (!e)
        printf("{\"seconds\": %.6f}\n", (double)ns / 1e9);
    return e;
}

static enum err time_bursts(const struct plan *p, size_t count)
{
    size_t times = p->requests ? (size_t)p->requests : 1;
    AUTO_FREE uint64_t *ns = xcalloc(times, sizeof(*ns));
    enum err e = burst_run(p, count, times, ns);

    for (size_t i = 0; !e && i < times; i++)
        printf("%s%.6f", i ? ", " : "{\"seconds\": [", (double)ns[i] / 1e9);
    if (!e)
        puts("]}");
    return e;
}

static enum err carry_out(const struct options *o, char **rest)
{
    struct plan p = make_plan(o);
    enum err e = OK;

    if (o->proxy && (!o->target || !plan_proxy(&p, o->proxy, o->target)))
        e = ERR_CONFIG;
    else if (o->cold)
        e = time_cold_start(&p, rest);
    else
        e = read_address(&p, rest[0]);
    if (!e && o->burst)
        e = time_bursts(&p, (size_t)o->burst);
    else if (!e && !o->cold)
        e = run_plan(&p, report_counting, report_counted);
    for (size_t i = 0; i < p.step_count; i++) {
        free(p.steps[i].send);
        free(p.steps[i].expect);
    }
    free(p.head);
    return e;
}

int main(int argc, char **argv)
{
    struct options o = { .host = "localhost",
                         .path = "/",
                         .connections = 1,
                         .duration_ms = 10000,
                         .patience_ms = 10000 };

    signal(SIGPIPE, SIG_IGN);
    if (read_options(&o, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    enum err e = carry_out(&o, argv + optind);
    if (e)
        fprintf(stderr, "bench-load: %s\n", err_text(e));
    return e ? 1 : 0;
}
