/* bench/load/main.c - bench-load: the load generator of every figure in bench/
 *
 *     bench-load [OPTIONS] ADDRESS:PORT          put a load on it
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
#include "bench/load/cold.h"
#include "bench/load/run.h"

static const char usage[] =
    "bench-load [OPTIONS] ADDRESS:PORT\n"
    "bench-load [OPTIONS] --cold -- COMMAND...   ({port} in it is a free port)\n"
    "  --host NAME         the Host header (localhost)\n"
    "  --path PATH         (/)\n"
    "  --header LINE       one more header\n"
    "  --connections N     (1)\n"
    "  --fresh             a new connection for each request\n"
    "  --rate N            requests per second of all together (as fast as it goes)\n"
    "  --upload BYTES      POST that many instead of GET\n"
    "  --requests N        stop after so many\n"
    "  --duration TIME     stop after so long (10s); the limit when --requests is given\n"
    "  --settle TIME       do not count the beginning (0)\n"
    "  --patience TIME     for one request (10s)\n";

struct options {
    const char *host, *path, *header;
    uint64_t connections, rate, upload, requests;
    uint64_t duration_ms, settle_ms, patience_ms;
    bool fresh, cold;
};

enum {
    OPT_HOST = 1,
    OPT_PATH,
    OPT_HEADER,
    OPT_CONNECTIONS,
    OPT_FRESH,
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

static char *request_head(const struct options *o)
{
    AUTO_FREE char *length =
        o->upload ? xasprintf("Content-Length: %llu\r\n", (unsigned long long)o->upload)
                  : xstrdup("");
    return xasprintf("%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench-load\r\n"
                     "Accept: */*\r\n%s%s%s\r\n",
                     o->upload ? "POST" : "GET", o->path, o->host, length,
                     o->header ? o->header : "", o->header ? "\r\n" : "");
}

static struct plan make_plan(const struct options *o)
{
    struct plan p = {
        .head = request_head(o),
        .upload = o->upload,
        .connections = (size_t)o->connections,
        .fresh = o->fresh,
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

static void say_counting(void)
{
    puts("counting");
    fflush(stdout);
}

/* The word comes first; sorting a million latencies takes a while. */
static void say_counted(const struct tally *t, uint64_t took_ns)
{
    struct samples sorted = t->latencies;

    puts("counted");
    fflush(stdout);
    samples_sort(&sorted);
    printf(
        "{\"requests\": %llu, \"seconds\": %.6f, \"body_in\": %llu, \"body_out\": %llu",
        (unsigned long long)t->requests, (double)took_ns / 1e9,
        (unsigned long long)t->body_in, (unsigned long long)t->body_out);
    printf(", \"p50_us\": %u, \"p90_us\": %u, \"p99_us\": %u, \"max_us\": %u",
           samples_percentile(&sorted, 50), samples_percentile(&sorted, 90),
           samples_percentile(&sorted, 99), samples_percentile(&sorted, 100));
#define X(NAME, name)                                                                    \
    printf(", \"" #name "\": %llu", (unsigned long long)t->failures[FAIL_##NAME]);
    FAILURES(X)
#undef X
    puts("}");
    fflush(stdout);
}

static enum err time_cold_start(const struct plan *p, char **command)
{
    uint64_t ns;
    enum err e = cold_start(p, command, &ns);
    if (!e)
        printf("{\"seconds\": %.6f}\n", (double)ns / 1e9);
    return e;
}

static enum err carry_out(const struct options *o, char **rest)
{
    struct plan p = make_plan(o);
    enum err e = OK;

    if (o->cold)
        e = time_cold_start(&p, rest);
    else
        e = read_address(&p, rest[0]);
    if (!e && !o->cold)
        e = run_plan(&p, say_counting, say_counted);
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
