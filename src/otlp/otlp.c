/* otlp/otlp.c - spans, for a file or a collector
 *
 * THEORY OF OPERATION
 *
 *      spans ──▶ batch ──▶ a line of the file
 *                  │
 *                  └─────▶ a POST ──▶ done, or after a pause again
 *
 * There is one batch at a time.  While it is under way, spans wait, up to SPANS_MAX bytes.
 * A collector that is not there, or says that it is busy (429, 502, 503, 504), gets the batch
 * again, ATTEMPTS_MAX times; one that answers otherwise does not (OTLP specification,
 * "Failures").
 */
#include "otlp/otlp.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "base/rfc3339.h"
#include "net/transfer.h"
#include "net/url.h"
#include "otlp/batch.h"
#include "otlp/pairs.h"
#include "wire/trace_context.h"

LOG_MODULE(otlp);

#define FLUSH_MS 1000
#define FLUSH_BYTES (256u << 10)
#define SPANS_MAX (1u << 20)
#define EXPORT_MS 10000
#define RESPONSE_MAX (32u << 10)
#define ATTEMPTS_MAX 5
#define PAUSE_MAX_S 30
#define WARN_MS 60000
#define RANDOM_ROOM 1024

enum { FIELD_TYPE, FIELD_AGENT, FIELD_TRACEPARENT, FIELDS_OWN };
enum result { EXPORTED, DROPPED, FAILED };

static struct metric spans_total = {
    .name = "kube_tunnel_spans_total",
    .help =
        "Spans of --otlp: taken by the file or the collector, dropped because too many "
        "waited, or not taken.",
    .type = METRIC_COUNTER,
    .label = "result",
    .values = { [EXPORTED] = "exported", [DROPPED] = "dropped", [FAILED] = "failed" },
};

struct otlp {
    struct sched *sched;
    char *target; /* the path, or the URL */
    int fd;       /* -1: it is a URL */
    bool torn;    /* the last line in the file is not complete */
    struct transfers *transfers;
    struct tls_identity *identity; /* NULL: plain HTTP */
    char **fields;                 /* of a POST: "Name: value"; ends with NULL */
    struct json_out resource;      /* its attributes */

    struct json_out spans; /* of the next batch */
    int64_t count;         /* of them */
    uint64_t ahead_ms;     /* of the wall's clock before the loop's */
    struct timer flush;

    struct json_out batch;
    int64_t batch_count; /* 0: there is none */
    unsigned attempts;
    struct transfer *transfer;
    struct task answered;
    struct timer again;

    struct task *drained; /* NULL: it goes on */
    uint64_t warned_at;   /* sched ms; 0: never */
    uint8_t random[RANDOM_ROOM];
    size_t random_left;
};

static void count_spans(enum result result, int64_t n)
{
    metric_add(&spans_total, result, n);
}

static void warn_failed(struct otlp *o, int64_t spans, const char *reason)
{
    uint64_t now = o->sched->now;

    count_spans(FAILED, spans);
    if (o->warned_at && now - o->warned_at < WARN_MS)
        return;
    o->warned_at = now;
    log_warn(NO_ID, "spans could not be exported", LOG_S("to", o->target),
             LOG_I("spans", spans), LOG_S("reason", reason));
}

/* --- a file --- */

static enum err open_file(const char *path, int *ret, struct diag *why)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                  0600);

    if (fd < 0)
        return diag_set(why, errno == EACCES ? ERR_ACCESS : ERR_IO, "otlp %s: %s", path,
                        strerror(errno));
    *ret = fd;
    return OK;
}

static void write_batch(struct otlp *o)
{
    size_t done = 0;

    *json_out_reserve(&o->batch, 1) = '\n';
    o->batch.len++;
    if (o->torn && write(o->fd, "\n", 1) == 1)
        o->torn = false;
    while (done < o->batch.len) {
        ssize_t n = write(o->fd, o->batch.at + done, o->batch.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    if (done == o->batch.len)
        count_spans(EXPORTED, o->batch_count);
    else
        warn_failed(o, o->batch_count, strerror(errno));
    o->torn |= done && done < o->batch.len;
    o->batch_count = 0;
}

void otlp_reopen(struct otlp *o)
{
    struct diag why = { "" };
    int fd = -1;

    if (o->fd < 0)
        return;
    enum err e = open_file(o->target, &fd, &why);
    if (e) {
        log_warn(NO_ID,
                 "the file for spans could not be opened again: keeping the old one",
                 LOG_S("reason", diag_text(&why, e)));
        return;
    }
    close(o->fd);
    o->fd = fd;
    o->torn = false;
}

/* --- a collector --- */

static void send_batch(struct otlp *o);

static void end_batch(struct otlp *o)
{
    o->batch_count = 0;
    o->attempts = 0;
    if (o->count && !o->flush.at)
        timer_set(&o->flush, o->drained ? 1 : FLUSH_MS);
    if (o->drained)
        task_wake(o->drained);
}

/* Exports are not traced, because they may pass through this process. */
static char *untraced(struct otlp *o)
{
    struct trace_context none = { 0 };
    char text[TRACEPARENT_LENGTH];

    otlp_random(o, none.trace_id, sizeof(none.trace_id));
    otlp_random(o, none.span_id, sizeof(none.span_id));
    none.span_id[0] |= 1;
    none.trace_id[0] |= 1;
    traceparent_write(&none, text);
    return xasprintf("traceparent: %.*s", TRACEPARENT_LENGTH, text);
}

static void send_batch(struct otlp *o)
{
    free(o->fields[FIELD_TRACEPARENT]);
    o->fields[FIELD_TRACEPARENT] = untraced(o);
    const struct transfer_request request = {
        .method = "POST",
        .url = o->target,
        .headers = (const char *const *)o->fields,
        .body = o->batch.at,
        .identity = o->identity,
        .proxy = "", /* $HTTP_PROXY is that of the API server */
        .timeout_ms = EXPORT_MS,
        .body_limit = 2 * (size_t)RESPONSE_MAX,
    };

    o->attempts++;
    o->transfer = transfer_open(o->transfers, &request, &o->answered);
}

static void on_again(struct timer *t)
{
    send_batch(container_of(t, struct otlp, again));
}

/* How many spans a collector that took the batch has refused (partialSuccess). */
static int64_t rejected_of(const struct transfer *x)
{
    AUTO_FREE char *text = xmalloc(RESPONSE_MAX);
    size_t len = bufq_copy(&x->body, 0, text, RESPONSE_MAX);
    json_t *answer = json_loadb(text, len, 0, NULL);
    const json_t *n =
        json_object_get(json_object_get(answer, "partialSuccess"), "rejectedSpans");
    int64_t rejected = json_is_string(n) ? strtoll(json_string_value(n), NULL, 10)
                                         : json_integer_value(n);

    json_decref(answer);
    return rejected;
}

static void note_taken(struct otlp *o, int64_t rejected)
{
    if (rejected > 0 && rejected <= o->batch_count) {
        warn_failed(o, rejected, "the collector refused a part of them");
        count_spans(EXPORTED, o->batch_count - rejected);
    } else {
        count_spans(EXPORTED, o->batch_count);
    }
}

static bool may_be_repeated(const struct transfer *x)
{
    if (x->result && x->result != ERR_AGAIN)
        return x->result != ERR_CONFIG && x->result != ERR_TLS;
    return x->status == 429 || x->status == 502 || x->status == 503 || x->status == 504;
}

static uint64_t pause_ms(const struct otlp *o, const struct transfer *x)
{
    uint32_t s = x->retry_after ? x->retry_after : 1u << (o->attempts - 1);

    return (s < PAUSE_MAX_S ? s : PAUSE_MAX_S) * 1000ull;
}

static void fail_batch(struct otlp *o, const struct transfer *x)
{
    bool redirect = x->status / 100 == 3;
    AUTO_FREE char *answer = xasprintf(
        "it answered %d%s", x->status,
        redirect ? ", and redirects are not followed: give --otlp the final URL" : "");
    const char *reason =
        x->result && x->result != ERR_AGAIN ? diag_text(&x->why, x->result) : answer;

    if (!o->drained && o->attempts < ATTEMPTS_MAX && may_be_repeated(x)) {
        log_debug(NO_ID, "a batch of spans is sent again", LOG_S("to", o->target),
                  LOG_S("reason", reason));
        timer_set(&o->again, pause_ms(o, x));
        return;
    }
    warn_failed(o, o->batch_count, reason);
    end_batch(o);
}

/* A response that does not end is not waited for once its status is known. */
static void on_answered(struct task *t)
{
    struct otlp *o = container_of(t, struct otlp, answered);
    struct transfer *x = o->transfer;

    if (!x || (x->result == ERR_AGAIN && x->body.len < RESPONSE_MAX))
        return;
    o->transfer = NULL;
    if ((!x->result || x->result == ERR_AGAIN) && x->status / 100 == 2) {
        note_taken(o, rejected_of(x));
        end_batch(o);
    } else {
        fail_batch(o, x);
    }
    transfer_close(x);
}

/* --- both --- */

static void begin_batch(struct otlp *o)
{
    timer_stop(&o->flush);
    if (!o->count || o->batch_count)
        return;
    batch_finish(&o->resource, &o->spans, &o->batch);
    o->batch_count = o->count;
    o->count = 0;
    json_out_clear(&o->spans);
    if (o->fd >= 0)
        write_batch(o);
    else
        send_batch(o);
}

static void on_flush(struct timer *t)
{
    begin_batch(container_of(t, struct otlp, flush));
}

void otlp_add(struct otlp *o, const struct otlp_span *s)
{
    if (o->spans.len >= SPANS_MAX) {
        count_spans(DROPPED, 1);
        return;
    }
    if (!o->count)
        o->ahead_ms = (uint64_t)wall_clock_ms() - o->sched->now;
    batch_add(&o->spans, s, o->ahead_ms);
    o->count++;
    if (!o->batch_count && o->spans.len >= FLUSH_BYTES)
        timer_set(&o->flush, 1);
    else if (!o->batch_count && !o->flush.at)
        timer_set(&o->flush, FLUSH_MS);
}

void otlp_random(struct otlp *o, uint8_t *ret, size_t len)
{
    if (o->random_left < len) {
        ssize_t n = getrandom(o->random, RANDOM_ROOM, 0);
        if (n !=
            RANDOM_ROOM) /* it returns less than 257 bytes only before the first boot */
            abort();
        o->random_left = RANDOM_ROOM;
    }
    o->random_left -= len;
    memcpy(ret, o->random + o->random_left, len);
}

/* --- its life --- */

struct otlp_environment otlp_environment_read(void)
{
    const char *name = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
    const char *of_traces = getenv(name);

    if (!of_traces || !*of_traces)
        name = "OTEL_EXPORTER_OTLP_HEADERS";
    return (struct otlp_environment){
        .headers = getenv(name),
        .headers_name = name,
        .service_name = getenv("OTEL_SERVICE_NAME"),
        .resource = getenv("OTEL_RESOURCE_ATTRIBUTES"),
    };
}

/* "Name;" is how curl writes a field without a value. */
static char *field_text(const struct pair *p)
{
    return p->value[0] ? xasprintf("%s: %s", p->name, p->value)
                       : xasprintf("%s;", p->name);
}

static enum err set_fields(struct otlp *o, const struct otlp_environment *environment,
                           struct diag *why)
{
    struct pair_list list;
    enum err e = pairs_parse(str_of(environment->headers), &list, why);

    if (!e)
        e = pairs_check_headers(&list, why);
    o->fields = xcalloc(FIELDS_OWN + list.count + 1, sizeof(*o->fields));
    o->fields[FIELD_TYPE] = xstrdup("Content-Type: application/json");
    o->fields[FIELD_AGENT] = xstrdup("User-Agent: kube-tunnel/" VERSION);
    o->fields[FIELD_TRACEPARENT] = untraced(o);
    for (size_t i = 0; !e && i < list.count; i++)
        o->fields[FIELDS_OWN + i] = field_text(&list.at[i]);
    pairs_finish(&list);
    return e ? diag_prefix(why, e, "%s", environment->headers_name) : OK;
}

static enum err set_resource(struct otlp *o, const struct otlp_environment *environment,
                             struct diag *why)
{
    struct pair_list list;
    enum err e = pairs_parse(str_of(environment->resource), &list, why);

    if (e)
        return diag_prefix(why, e, "OTEL_RESOURCE_ATTRIBUTES");
    batch_resource(&o->resource, environment->service_name, &list);
    pairs_finish(&list);
    return OK;
}

static enum err open_collector(struct otlp *o, struct loop *loop, struct diag *why)
{
    AUTO(url_finish) struct url url = { 0 };
    const struct tls_identity_settings settings = { 0 };
    enum err e = url_parse(str_of(o->target), "http", &url, why);

    if (e)
        return diag_prefix(why, e, "otlp");
    if (url.user || url.password)
        return diag_set(why, ERR_CONFIG, "otlp: the URL must have no user and password");
    if (strcmp(url.path, "/") == 0 && !url.rest) {
        AUTO_FREE char *base = TAKE(o->target);
        bool slash = base[strlen(base) - 1] == '/';
        o->target = xasprintf("%s%sv1/traces", base, slash ? "" : "/");
    }
    if (strcmp(url.scheme, "https") == 0)
        e = tls_identity_create(&settings, &o->identity, NULL, why);
    if (!e)
        o->transfers = transfers_create(loop);
    return e;
}

enum err otlp_open(struct loop *loop, const char *target,
                   const struct otlp_environment *environment, struct otlp **ret,
                   struct diag *why)
{
    struct otlp *o = xcalloc(1, sizeof(*o));

    metrics_register(&spans_total);
    o->sched = loop_sched(loop);
    o->target = xstrdup(target);
    o->fd = -1;
    timer_init(&o->flush, o->sched, on_flush);
    timer_init(&o->again, o->sched, on_again);
    task_init(&o->answered, o->sched, RANK_WORK, on_answered);
    enum err e = set_resource(o, environment, why);
    if (!e)
        e = set_fields(o, environment, why);
    if (!e)
        e = strstr(target, "://") ? open_collector(o, loop, why)
                                  : open_file(target, &o->fd, why);
    if (e)
        otlp_close(o);
    else
        *ret = o;
    return e;
}

void otlp_drain(struct otlp *o, struct task *done)
{
    o->drained = done;
    if (o->again.at) { /* the pause is over: this is the last attempt */
        timer_stop(&o->again);
        send_batch(o);
    }
    begin_batch(o);
    task_wake(done);
}

bool otlp_idle(const struct otlp *o)
{
    return !o->batch_count && !o->count;
}

static void close_rest(struct otlp *o)
{
    int64_t lost = o->count + o->batch_count;

    if (!lost)
        return;
    count_spans(DROPPED, lost);
    log_warn(NO_ID, "spans were given up", LOG_S("to", o->target), LOG_I("spans", lost));
}

void otlp_close(struct otlp *o)
{
    if (!o)
        return;
    timer_stop(&o->flush);
    timer_stop(&o->again);
    transfer_close(TAKE(o->transfer));
    task_cancel(&o->answered);
    close_rest(o);
    if (o->transfers)
        transfers_destroy(o->transfers);
    tls_identity_unref(o->identity);
    if (o->fd >= 0)
        close(o->fd);
    for (size_t i = 0; o->fields && o->fields[i]; i++)
        free(o->fields[i]);
    free(o->fields);
    json_out_finish(&o->resource);
    json_out_finish(&o->spans);
    json_out_finish(&o->batch);
    free(o->target);
    free(o);
}
