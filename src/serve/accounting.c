/* serve/accounting.c - requests and their results, in the log and in metrics */
#include "serve/accounting.h"

#include "base/metrics.h"
#include "catalog/service.h"

LOG_MODULE(serve);

#define STATUS_GONE 499 /* in the log: the client left before a response */

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
static struct metric lost = {
    .name = "kube_tunnel_lost_requests_total",
    .help = "Requests that a pod may have executed, and whose connection ended before a "
            "response, or within it.",
    .type = METRIC_COUNTER,
    .label = "when",
    .values = { "before", "within" },
};
static struct metric bytes = {
    .name = "kube_tunnel_body_bytes_total",
    .help = "Bytes of bodies and of relayed connections, from and to clients.",
    .type = METRIC_COUNTER,
    .label = "direction",
    .values = { "in", "out" },
};

void accounting_metrics_register(void)
{
    metrics_register(&requests);
    metrics_register(&duration);
    metrics_register(&retries);
    metrics_register(&lost);
    metrics_register(&bytes);
}

void accounting_raw(uint16_t cluster, uint64_t in, uint64_t out)
{
    metric_add_for(&bytes, cluster, 0, (int64_t)in);
    metric_add_for(&bytes, cluster, 1, (int64_t)out);
}

void accounting_retry(struct log_id id, unsigned attempt, const struct endpoint *failed,
                      const char *reason)
{
    log_info(id, "retrying request", LOG_U("attempt", attempt),
             LOG_S("failed", failed ? failed->pod : ""), LOG_S("reason", reason));
    metric_add_for(&retries, id.cluster, 0, 1);
}

void accounting_lost(struct log_id id, bool within)
{
    metric_add_for(&lost, id.cluster, within, 1);
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

struct str accounting_host(const struct http1_head *request, const struct target *target)
{
    if (target->authority.at)
        return without_user(target->authority);
    return request->host ? without_user(request->host->value) : STR("");
}

/* Values are shown only of fields known to hold no secrets. */
static bool may_show(enum http1_name id)
{
    return id != FIELD_OTHER && id != FIELD_AUTHORIZATION &&
           id != FIELD_PROXY_AUTHORIZATION && id != FIELD_HOST;
}

void accounting_received(struct log_id id, const struct http1_head *request,
                         const struct target *target)
{
    if (!log_enabled(log_module, LEVEL_DEBUG))
        return;
    log_debug(id, "request received", LOG_V("method", request->method),
              LOG_V("host", accounting_host(request, target)),
              LOG_V("path", without_query(target->path)));
    for (size_t i = 0; i < request->count; i++) {
        const struct http1_field *field = &request->fields[i];
        log_debug(
            id, "header", LOG_V("name", field->name),
            LOG_V("value", may_show(field->id) ? field->value : STR("(not shown)")));
    }
}

static void log_request(const struct accounting *a)
{
    const struct lease *lease = a->lease;

    log_info(a->id, "request", LOG_V("method", a->request->method),
             LOG_V("host", accounting_host(a->request, a->target)),
             LOG_V("path", without_query(a->target->path)),
             LOG_I("status", a->status ? a->status : STATUS_GONE),
             LOG_U("in", a->bytes_in), LOG_U("out", a->bytes_out), LOG_U("ms", a->ms),
             LOG_S("pod", lease->endpoint ? lease->endpoint->pod : ""),
             LOG_ID(lease_via_key(lease), lease->via),
             LOG_S("reused", lease->reused ? "yes" : "no"));
}

static void log_bad_request(const struct accounting *a)
{
    log_info(a->id, "bad request", LOG_I("status", a->status),
             LOG_S("client", a->client));
}

void accounting_end(const struct accounting *a)
{
    uint16_t cluster = a->id.cluster;

    if (!a->request && !a->status)
        return;
    metric_add_for(&requests, cluster, a->status / 100 <= 5 ? (size_t)a->status / 100 : 0,
                   1);
    metric_observe_ms_for(&duration, cluster, a->ms);
    metric_add_for(&bytes, cluster, 0, (int64_t)a->bytes_in);
    metric_add_for(&bytes, cluster, 1, (int64_t)a->bytes_out);
    if (a->request)
        log_request(a);
    else
        log_bad_request(a);
}
