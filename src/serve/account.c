/* serve/account.c - what came in and what became of it, in the log and in numbers
 *
 * No value of a field that may hold a secret, no query and no body is ever logged.
 */
#include "base/metrics.h"
#include "base/log.h"
#include "serve/exchange.h"
#include "serve/session.h"

LOG_MODULE(serve);

#define STATUS_GONE 499 /* in the log: the client left before an answer */

static struct metric requests = {
    .name = "kube_tunnel_requests_total",
    .help = "Client requests, by class of status.",
    .type = METRIC_COUNTER,
    .label = "code",
    .values = { "none", "1xx", "2xx", "3xx", "4xx", "5xx" },
};
static struct metric duration = {
    .name = "kube_tunnel_request_duration_seconds",
    .help = "Time from the first byte of a request to the last byte of its response.",
    .type = METRIC_HISTOGRAM,
};
static struct metric retries = {
    .name = "kube_tunnel_retries_total",
    .help = "Requests that were retried.",
    .type = METRIC_COUNTER,
};
static struct metric bytes = {
    .name = "kube_tunnel_body_bytes_total",
    .help = "Bytes of bodies and of relayed connections, from and to clients.",
    .type = METRIC_COUNTER,
    .label = "direction",
    .values = { "in", "out" },
};

void exchange_metrics_register(void)
{
    metrics_register(&requests);
    metrics_register(&duration);
    metrics_register(&retries);
    metrics_register(&bytes);
}

void account_raw(uint16_t cluster, uint64_t up, uint64_t down)
{
    metric_add_for(&bytes, cluster, 0, (int64_t)up);
    metric_add_for(&bytes, cluster, 1, (int64_t)down);
}

void exchange_count_retry(const struct exchange *x)
{
    metric_add_for(&retries, x->id.cluster, 0, 1);
}

struct str without_query(struct str path)
{
    str_cut(path, '?', &path);
    return path;
}

/* An authority may begin with a password: "user:password@host". */
static struct str without_user(struct str authority)
{
    struct str before;
    struct str after = str_cut_last(authority, '@', &before);

    return after.at ? after : authority;
}

static struct str host_of(const struct exchange *x)
{
    if (x->target.authority.at)
        return without_user(x->target.authority);
    return x->request.host ? without_user(x->request.host->value) : STR("");
}

/* Values are shown only of fields known to hold no secrets. */
static bool may_show(enum http1_name id)
{
    return id != FIELD_OTHER && id != FIELD_AUTHORIZATION &&
           id != FIELD_PROXY_AUTHORIZATION && id != FIELD_HOST;
}

void exchange_log_incoming(const struct exchange *x)
{
    log_debug(x->id, "request received", LOG_V("method", x->request.method),
              LOG_V("host", host_of(x)), LOG_V("path", without_query(x->target.path)));
    for (size_t i = 0; i < x->request.count; i++) {
        const struct http1_field *field = &x->request.fields[i];
        log_debug(
            x->id, "header", LOG_V("name", field->name),
            LOG_V("value", may_show(field->id) ? field->value : STR("(not shown)")));
    }
}

static void log_request(const struct exchange *x, uint64_t ms)
{
    const struct endpoint *pod = x->lease.endpoint;

    log_info(x->id, "request", LOG_V("method", x->request.method),
             LOG_V("host", host_of(x)), LOG_V("path", without_query(x->target.path)),
             LOG_I("status", x->status ? x->status : STATUS_GONE),
             LOG_U("in", x->bytes_in), LOG_U("out", x->bytes_out), LOG_U("ms", ms),
             LOG_S("pod", pod ? pod->pod : ""), LOG_ID("tunnel", x->lease.via),
             LOG_S("reused", x->lease.reused ? "yes" : "no"));
}

static void log_bad_request(const struct exchange *x)
{
    log_info(x->id, "bad request", LOG_I("status", x->status),
             LOG_S("client", x->from->address));
}

void exchange_account(const struct exchange *x)
{
    uint64_t ms = x->serve->sched->now - x->began;
    uint16_t cluster = x->id.cluster;

    if (!x->known && !x->status)
        return; /* a client that left before it had asked for anything */
    metric_add_for(&requests, cluster, x->status / 100 <= 5 ? (size_t)x->status / 100 : 0,
                   1);
    metric_observe_ms_for(&duration, cluster, ms);
    metric_add_for(&bytes, cluster, 0, (int64_t)x->bytes_in);
    metric_add_for(&bytes, cluster, 1, (int64_t)x->bytes_out);
    if (x->known)
        log_request(x, ms);
    else
        log_bad_request(x);
}
