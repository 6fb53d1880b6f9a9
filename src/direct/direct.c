#include "direct/direct.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "catalog/pod_addresses.h"
#include "net/outside_address.h"
#include "net/tcp_dial.h"

LOG_MODULE(direct);

enum outcome { CONNECTED, REFUSED, UNREACHABLE, NOT_ALLOWED, OUTCOMES };

static struct metric metric_connections = {
    .name = "kube_tunnel_direct_connections_total",
    .help = "Connections to addresses of pods, by what became of them.",
    .type = METRIC_COUNTER,
    .label = "outcome",
    .values = { "connected", "refused", "unreachable", "not_allowed" },
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

/* The attempt is over. */
static void attempt_fail(struct attempt *a, enum err e, const struct diag *why)
{
    struct opening *o = a->opening;

    count_outcome(a->owner, e == ERR_CONNECT ? UNREACHABLE : NOT_ALLOWED);
    log_debug(CLUSTER_ID(a->owner->settings.cluster), "no direct connection",
              LOG_S("pod", a->endpoint->pod), LOG_S("namespace", a->endpoint->ns),
              LOG_S("reason", diag_text(why, e)));
    o->error = (struct api_error){ .code = e, .why = *why };
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

static enum err parse(const char *text, uint16_t port, struct sockaddr_storage *ret,
                      struct diag *why)
{
    struct sockaddr_in *v4 = (void *)ret;
    struct sockaddr_in6 *v6 = (void *)ret;

    *ret = (struct sockaddr_storage){ 0 };
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return OK;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return OK;
    }
    return diag_set(why, ERR_ACCESS, "\"%s\" is not an address", text);
}

/* The pod's own address, unless it is one that is never connected to. */
static enum err check_address(const struct direct *d, const char *text,
                              const struct sockaddr_storage *address, struct diag *why)
{
    if (d->settings.api_server && strcmp(text, d->settings.api_server) == 0)
        return diag_set(why, ERR_ACCESS, "%s is the API server's address", text);
    if (d->settings.any_address)
        return OK;
    if (outside_address_check((const struct sockaddr *)address, d->own, why))
        return ERR_ACCESS;
    return OK;
}

/* ERR_AGAIN: under way.  The attempt may be over when it returns. */
static void attempt_step(struct attempt *a)
{
    struct sockaddr_storage address;
    struct diag why = a->address.why;
    enum err e = a->address.result;

    if (e == ERR_AGAIN || (a->dialling && a->dial.result == ERR_AGAIN))
        return;
    if (!e && !a->dialling) {
        e = parse(a->address.address, a->opening->port, &address, &why);
        if (!e)
            e = check_address(a->owner, a->address.address, &address, &why);
        if (!e) {
            a->dialling = true;
            tcp_dial_start(&a->dial, a->owner->loop, &address,
                           a->owner->settings.connect_ms, &a->step);
            attempt_step(a);
            return;
        }
    }
    if (!e && a->dial.result) {
        why = a->dial.why;
        e = a->dial.result;
    }
    if (e)
        attempt_fail(a, e, &why);
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
    struct diag why = { "" };
    enum err e;

    if (a->dialling)
        e = diag_set(&why, ERR_CONNECT, "%s port %u: no answer", a->address.address,
                     o->port);
    else
        e = diag_set(&why, ERR_TIMEOUT, "pod %s was not read in time", a->endpoint->pod);
    attempt_fail(a, e, &why);
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

void direct_destroy(struct direct *d)
{
    if (!d)
        return;
    own_addresses_destroy(d->own);
    free(d);
}
