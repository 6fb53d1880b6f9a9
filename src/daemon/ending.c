/* daemon/ending.c - the steps in which the process ends */
#include "daemon/ending.h"

#include "addresses/addresses.h"
#include "base/log.h"
#include "base/own.h"
#include "cluster/clusters.h"
#include "config/config.h"
#include "daemon/daemon_state.h"
#include "daemon/dns_server.h"
#include "daemon/notify.h"
#include "daemon/outputs.h"
#include "daemon/reload.h"
#include "listen/listen.h"
#include "net/loop.h"
#include "serve/serve.h"

LOG_MODULE(daemon);

#define PARTING_MS 500

static void enter(struct daemon *d, enum daemon_state next)
{
    d->state = next;
}

static void refuse_clients(struct daemon *d)
{
    reload_close(TAKE(d->reload));
    dns_server_close(TAKE(d->dns));
    if (!d->listeners)
        return;
    if (d->addresses)
        addresses_listen(d->addresses, NULL);
    listeners_close(TAKE(d->listeners));
}

void ending_begin(struct daemon *d)
{
    log_info(NO_ID, "stopping", LOG_U("sessions", serve_sessions(d->serve)),
             LOG_U("drain_timeout_ms", d->config->drain_timeout_ms));
    notify("STOPPING=1");
    refuse_clients(d);
    enter(d, DAEMON_DRAINING);
    serve_drain(d->serve, &d->on_end);
}

void ending_refuse_clients(struct daemon *d)
{
    log_info(NO_ID, "draining", LOG_U("sessions", serve_sessions(d->serve)));
    refuse_clients(d);
    serve_drain(d->serve, &d->on_end);
}

static void part(struct daemon *d)
{
    enter(d, DAEMON_PARTING);
    timer_set(&d->parting, PARTING_MS);
    outputs_drain(d->outputs, &d->on_end);
    clusters_drain(d->clusters, &d->on_end);
}

static void on_parted(struct timer *t)
{
    loop_stop(container_of(t, struct daemon, parting)->loop);
}

/* Woken when a part that drains may have finished. */
static void on_end(struct task *t)
{
    struct daemon *d = container_of(t, struct daemon, on_end);

    if (d->state == DAEMON_DRAINING && serve_idle(d->serve))
        part(d);
    if (d->state == DAEMON_PARTING && outputs_idle(d->outputs) &&
        clusters_idle(d->clusters))
        loop_stop(d->loop);
}

void ending_init(struct daemon *d)
{
    task_init(&d->on_end, loop_sched(d->loop), RANK_WORK, on_end);
    timer_init(&d->parting, loop_sched(d->loop), on_parted);
}

void ending_cancel(struct daemon *d)
{
    timer_stop(&d->parting);
    task_cancel(&d->on_end);
}
