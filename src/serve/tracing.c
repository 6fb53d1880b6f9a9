/* serve/tracing.c - the trace of a request: the field traceparent, and spans at its end
 *
 * Names of attributes are those of the semantic conventions of OpenTelemetry (HTTP server,
 * Kubernetes).  No query and no field of a request is in them.
 */
#include "serve/tracing.h"

#include <stdio.h>

#include "catalog/service.h"
#include "otlp/otlp.h"
#include "serve/accounting.h"

#define RATIO_BITS 56

/* --- the decision --- */

/* False: there is none, or no valid one. */
static bool read_context(const struct http1_head *request, struct trace_context *ret,
                         bool *ret_found)
{
    size_t count = 0;
    bool valid = false;

    for (size_t i = 0; i < request->count; i++)
        if (str_ieq(request->fields[i].name, STR("traceparent")) && count++ == 0)
            valid = traceparent_read(request->fields[i].value, ret);
    *ret_found = count > 0;
    return valid && count == 1;
}

/* As samplers by ratio do: by the last bytes of the trace's id. */
static bool is_chosen(const struct trace_context *c, unsigned percent)
{
    const uint64_t whole = 1ull << RATIO_BITS;
    uint64_t n = 0;

    for (size_t i = TRACE_ID_SIZE - RATIO_BITS / 8; i < TRACE_ID_SIZE; i++)
        n = n << 8 | c->trace_id[i];
    return n < whole / 100 * percent || percent == 100;
}

static bool begin_new(struct trace *t, struct otlp *o, unsigned percent)
{
    otlp_random(o, t->context.trace_id, TRACE_ID_SIZE);
    t->context.trace_id[0] |= 1; /* never all zero */
    t->context.sampled = t->context.random = true;
    t->has_parent = false;
    return is_chosen(&t->context, percent);
}

static bool continue_parents(struct trace *t, const struct trace_context *parent)
{
    t->context = *parent;
    t->has_parent = true;
    memcpy(t->parent_id, parent->span_id, SPAN_ID_SIZE);
    return parent->sampled;
}

void trace_begin(struct trace *t, struct otlp *o, struct http1_head *request,
                 unsigned percent)
{
    struct trace_context parent;
    bool found, valid = read_context(request, &parent, &found);

    t->recorded = valid ? continue_parents(t, &parent) : begin_new(t, o, percent);
    if (!t->recorded)
        return;
    otlp_random(o, t->context.span_id, SPAN_ID_SIZE);
    t->context.span_id[0] |= 1;
    traceparent_write(&t->context, t->text);
    if (found)
        http1_drop(request, STR("traceparent"));
    if (!valid) /* it belongs to the context that could not be read */
        http1_drop(request, STR("tracestate"));
}

/* --- the spans --- */

struct attributes {
    struct otlp_attribute at[OTLP_ATTRIBUTES_MAX];
    size_t count;
};

static void add_text(struct attributes *a, const char *name, struct str text)
{
    if (!str_empty(text))
        a->at[a->count++] = (struct otlp_attribute){ .name = name, .text = text };
}

static void add_number(struct attributes *a, const char *name, uint64_t number)
{
    a->at[a->count++] = (struct otlp_attribute){ .name = name, .number = number };
}

/* A client may send any method, and names of spans are few. */
static const char *known_method(struct str method)
{
    static const char *const known[] = { "GET",     "HEAD",  "POST",    "PUT",  "DELETE",
                                         "CONNECT", "PATCH", "OPTIONS", "TRACE" };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(method, str_of(known[i])))
            return known[i];
    return NULL;
}

static struct str host_alone(struct str host)
{
    struct str before, port = str_cut_last(host, ':', &before);

    return port.at && !memchr(port.at, ']', port.len) ? before : host;
}

static void add_request(struct attributes *a, const struct request_event *e)
{
    const char *method = known_method(e->request->method);
    const char *version = e->http2 ? "2" : e->request->minor ? "1.1" : "1.0";

    add_text(a, "http.request.method", str_of(method ? method : "_OTHER"));
    if (!method)
        add_text(a, "http.request.method_original", e->request->method);
    add_text(a, "url.scheme", e->tls ? STR("https") : STR("http"));
    add_text(a, "url.path", without_query(e->path));
    add_text(a, "server.address", host_alone(e->host));
    add_text(a, "client.address", str_of(e->client));
    add_text(a, "network.protocol.version", str_of(version));
    add_number(a, "http.request.body.size", e->bytes_in);
    add_number(a, "http.response.body.size", e->bytes_out);
    if (e->attempts > 1)
        add_number(a, "http.request.resend_count", e->attempts - 1);
}

static bool has_service(const struct name *n)
{
    return n->kind != NAME_INVALID && n->kind != NAME_OWN && !str_empty(n->service);
}

static void add_pod(struct attributes *a, const struct request_event *e)
{
    if (has_service(e->name))
        add_text(a, "k8s.service.name", e->name->service);
    if (!e->endpoint)
        return;
    add_text(a, "k8s.namespace.name", str_of(e->endpoint->ns));
    add_text(a, "k8s.pod.name", str_of(e->endpoint->pod));
}

static void add_status(struct attributes *a, const struct request_event *e,
                       char room[static 16])
{
    int n = snprintf(room, 16, "%d", e->status);

    if (e->status)
        add_number(a, "http.response.status_code", (uint64_t)e->status);
    if (!e->status)
        add_text(a, "error.type", STR("cancelled"));
    else if (e->status >= 500)
        add_text(a, "error.type", (struct str){ room, (size_t)n });
}

/* A phase that was not reached has no span, and one that took no time only if it is a
 * connection's or the pod's. */
static void report_phases(struct otlp_span *s, struct otlp *o,
                          const struct request_event *e)
{
    const struct request_times *t = &e->times;
    const struct {
        const char *name;
        uint64_t ms;
        bool always;
    } phases[] = {
        { "head", t->head, false },     { "look-up", t->lookup, false },
        { "wait", t->wait, false },     { "dial", t->dial, e->endpoint && !e->reused },
        { "pod", t->pod, e->endpoint }, { "transfer", t->transfer, false },
    };
    uint8_t id[SPAN_ID_SIZE];

    s->span_id = id;
    s->kind = OTLP_INTERNAL;
    s->failed = false;
    s->attribute_count = 0;
    for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
        s->end = s->begin + phases[i].ms;
        if (phases[i].ms || phases[i].always) {
            otlp_random(o, id, sizeof(id));
            id[0] |= 1;
            s->name = phases[i].name;
            otlp_add(o, s);
        }
        s->begin = s->end;
    }
}

void trace_report(const struct trace *t, struct otlp *o, const struct request_event *e,
                  uint64_t now)
{
    const char *method = known_method(e->request->method);
    struct attributes attributes = { .count = 0 };
    char status[16];

    add_request(&attributes, e);
    add_pod(&attributes, e);
    add_status(&attributes, e, status);
    struct otlp_span s = {
        .trace_id = t->context.trace_id,
        .span_id = t->context.span_id,
        .parent_id = t->has_parent ? t->parent_id : NULL,
        .name = method ? method : "HTTP",
        .kind = OTLP_SERVER,
        .begin = now - e->times.total,
        .end = now,
        .failed = !e->status || e->status >= 500,
        .attributes = attributes.at,
        .attribute_count = attributes.count,
    };
    otlp_add(o, &s);
    s.parent_id = t->context.span_id;
    report_phases(&s, o, e);
}
