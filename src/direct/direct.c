#include "direct/direct.h"

#include "base/address.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "catalog/pod_addresses.h"
#include "net/outside_address.h"
#include "net/tcp_dial.h"

LOG_MODULE(direct);

enum outcome { CONNECTED, REFUSED, UNREACHABLE, NOT_ALLOWED, FAILED };

static struct metric metric_connections = {
    .name = "kube_tunnel_direct_connections_total",
    .help = "Connections to addresses of pods, by what became of them.",
    .type = METRIC_COUNTER,
    .label = "outcome",
    .values = { "connected", "refused", "unreachable", "not_allowed", "failed" },
};

struct direct {
    struct connector connector;
    struct loop *loop;
    struct pod_addresses *addresses;
    struct own_addresses *own;
    struct direct_settings settings;
    uint64_t last_id;
};

/* One connection that is being opened. */
struct attempt {
    struct direct *owner;
    struct opening *opening;
    struct endpoint *endpoint; /* a reference */
    struct pod_address address;
    struct tcp_dial dial;
    struct task step;
    struct timer deadline;
    bool dialling;
    uint64_t began;
};

static struct direct *direct_of(struct connector *c)
{
    return container_of(c, struct direct, connector);
}

static void attempt_destroy(struct attempt *a)
{
    a->opening->private = NULL;
    task_cancel(&a->step);
    timer_stop(&a->deadline);
    pod_address_finish(&a->address);
    tcp_dial_finish(&a->dial);
    endpoint_unref(a->endpoint);
    free(a);
}

static void count_outcome(const struct direct *d, enum outcome outcome)
{
    metric_add_for(&metric_connections, d->settings.cluster, outcome, 1);
}

static enum outcome outcome_of(enum err e)
{
    switch (e) {
    case ERR_CONNECT:
        return UNREACHABLE;
    case ERR_ACCESS:
    case ERR_FORBIDDEN:
    case ERR_NOT_FOUND:
        return NOT_ALLOWED;
    default:
        return FAILED;
    }
}

/* Reports the error; frees the attempt. */
static void attempt_fail(struct attempt *a, const struct api_error *error)
{
    struct opening *o = a->opening;
    enum err e = error->code;

    count_outcome(a->owner, outcome_of(e));
    log_debug(CLUSTER_ID(a->owner->settings.cluster), "no direct connection",
              LOG_S("pod", a->endpoint->pod), LOG_S("namespace", a->endpoint->ns),
              LOG_S("reason", diag_text(&error->why, e)));
    o->error = *error;
    o->result = e;
    attempt_destroy(a);
}

static void attempt_succeed(struct attempt *a)
{
    struct direct *d = a->owner;
    struct opening *o = a->opening;

    o->stream = TAKE(a->dial.stream);
    o->dialled = true;
    o->via = (struct log_id){ .kind = 'd',
                              .number = ++*d->settings.last_id,
                              .cluster = d->settings.cluster };
    o->result = OK;
    count_outcome(d, o->stream->end.verdict == V_REFUSED ? REFUSED : CONNECTED);
    log_debug(o->via, "connected", LOG_S("pod", a->endpoint->pod),
              LOG_S("namespace", a->endpoint->ns), LOG_S("address", a->address.address),
              LOG_U("port", o->port), LOG_U("ms", a->step.sched->now - a->began));
    attempt_destroy(a);
}

/* Is it the API server's address?  Compares bytes, since an address has several spellings. */
static bool is_api_server(const struct direct *d, const struct sockaddr_storage *address)
{
    struct sockaddr_storage server;

    if (!address_parse(str_of(d->settings.api_server), &server))
        return false;
    struct sockaddr_storage a = address_plain((const struct sockaddr *)&server),
                            b = address_plain((const struct sockaddr *)address);
    return str_eq(address_bytes((struct sockaddr *)&a),
                  address_bytes((struct sockaddr *)&b));
}

/* Parse the pod's address, and refuse those that no connection may go to. */
static enum err check_address(const struct direct *d, const char *text,
                              struct sockaddr_storage *ret, struct diag *why)
{
    if (!address_parse(str_of(text), ret))
        return diag_set(why, ERR_ACCESS, "\"%s\" is not an address", text);
    if (is_api_server(d, ret))
        return diag_set(why, ERR_ACCESS, "%s is the API server's address", text);
    if (d->settings.any_address)
        return OK;
    if (outside_address_check((const struct sockaddr *)ret, d->own, why))
        return ERR_ACCESS;
    return OK;
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET)
        ((struct sockaddr_in *)address)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
}

/* The pod's address is known: connect to it. */
static enum err attempt_dial(struct attempt *a, struct diag *why)
{
    struct sockaddr_storage address;
    enum err e = check_address(a->owner, a->address.address, &address, why);

    if (e)
        return e;
    set_port(&address, a->opening->port);
    a->dialling = true;
    tcp_dial_start(&a->dial, a->owner->loop, &address, a->owner->settings.connect_ms,
                   &a->step);
    return OK;
}

/* May free the attempt. */
static void attempt_step(struct attempt *a)
{
    struct api_error error = a->address.error;

    if (a->address.result == ERR_AGAIN)
        return;
    error.code = a->address.result;
    if (!error.code && !a->dialling)
        error.code = attempt_dial(a, &error.why);
    if (!error.code) {
        error = (struct api_error){ .code = a->dial.result, .why = a->dial.why };
        if (error.code == ERR_AGAIN)
            return;
    }
    if (error.code)
        attempt_fail(a, &error);
    else
        attempt_succeed(a);
}

static void attempt_on_step(struct task *task)
{
    struct attempt *a = container_of(task, struct attempt, step);
    const struct opening *o = a->opening;

    attempt_step(a);
    if (o->result != ERR_AGAIN)
        task_wake(o->wake);
}

static void attempt_on_deadline(struct timer *timer)
{
    struct attempt *a = container_of(timer, struct attempt, deadline);
    const struct opening *o = a->opening;
    struct api_error error = { .code = ERR_TIMEOUT };

    if (a->dialling)
        error.code = diag_set(&error.why, ERR_CONNECT, "%s port %u: no answer",
                              a->address.address, o->port);
    else
        diag_set(&error.why, ERR_TIMEOUT, "pod %s was not read in time",
                 a->endpoint->pod);
    attempt_fail(a, &error);
    task_wake(o->wake);
}

static void open_connection(struct connector *c, const struct endpoint *endpoint,
                            struct opening *o)
{
    struct direct *d = direct_of(c);
    struct sched *sched = loop_sched(d->loop);
    struct attempt *a = xcalloc(1, sizeof(*a));

    a->owner = d;
    a->opening = o;
    a->endpoint = endpoint_ref(endpoint);
    a->began = sched->now;
    task_init(&a->step, sched, RANK_READ, attempt_on_step);
    timer_init(&a->deadline, sched, attempt_on_deadline);
    timer_set(&a->deadline, d->settings.connect_ms);
    o->private = a;
    pod_address_find(d->addresses, a->endpoint, &a->address, &a->step);
    attempt_step(a);
}

static void cancel_opening(struct opening *o)
{
    attempt_destroy(o->private);
}

static void direct_retire(struct connector *c, const char *pod_key)
{
    pod_addresses_forget(direct_of(c)->addresses, pod_key);
}

static const struct connector_ops direct_ops = {
    .open = open_connection,
    .cancel = cancel_opening,
    .retire = direct_retire,
};

struct connector *direct_connector(struct direct *d)
{
    return &d->connector;
}

struct direct *direct_create(struct loop *loop, struct pod_addresses *addresses,
                             const struct direct_settings *settings)
{
    struct direct *d = xcalloc(1, sizeof(*d));

    metrics_register(&metric_connections);
    d->connector.ops = &direct_ops;
    d->loop = loop;
    d->addresses = addresses;
    d->own = own_addresses_create(loop_sched(loop));
    d->settings = *settings;
    if (!d->settings.last_id)
        d->settings.last_id = &d->last_id;
    return d;
}

void direct_set_connect_ms(struct direct *d, uint64_t connect_ms)
{
    d->settings.connect_ms = connect_ms;
}

void direct_destroy(struct direct *d)
{
    if (!d)
        return;
    own_addresses_destroy(d->own);
    free(d);
}
