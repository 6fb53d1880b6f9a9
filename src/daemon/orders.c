/* daemon/orders.c - the control socket, and what its clients may order */
#include "daemon/orders.h"

#include "base/log.h"
#include "config/config.h"
#include "control/control.h"
#include "daemon/daemon_state.h"
#include "daemon/dns_server.h"
#include "daemon/ending.h"
#include "daemon/process.h"
#include "daemon/reload.h"
#include "daemon/signals.h"

LOG_MODULE(daemon);

static void order_stop(void *owner, bool now)
{
    struct daemon *d = owner;

    signals_stop(d, now);
}

static void order_drain(void *owner)
{
    struct daemon *d = owner;

    if (d->state != DAEMON_RUNNING || !d->listeners)
        return;
    ending_refuse_clients(d);
}

static const struct config *order_config(void *owner)
{
    const struct daemon *d = owner;
    return d->config;
}

static struct listeners *order_listeners(void *owner)
{
    const struct daemon *d = owner;
    return d->listeners;
}

static struct addresses *order_addresses(void *owner)
{
    const struct daemon *d = owner;
    return d->listeners ? d->addresses : NULL;
}

static size_t order_dns(void *owner, void (*each)(void *to, const char *address),
                        void *to)
{
    const struct daemon *d = owner;

    dns_each_address(dns_server_dns(d->dns), each, to);
    return dns_waiting(dns_server_dns(d->dns));
}

static const char *order_state(void *owner)
{
    const struct daemon *d = owner;

    if (d->state != DAEMON_RUNNING)
        return "stopping";
    return d->listeners ? "running" : "draining";
}

static enum err order_reload(void *owner, bool preview, struct setting_changes *ret,
                             struct diag *why)
{
    struct daemon *d = owner;

    if (!d->reload)
        return diag_set(why, ERR_CANCELLED, "kube-tunnel is stopping");
    return preview ? reload_preview(d->reload, ret, why) : signals_reload(d, ret, why);
}

/* Not to have the socket is no reason not to serve. */
void orders_listen(struct daemon *d)
{
    const struct control_parts parts = {
        .loop = d->loop,
        .clusters = d->clusters,
        .serve = d->serve,
        .naming = &d->naming,
        .in_pod = in_pod(),
        .orders = { .stop = order_stop,
                    .reload = order_reload,
                    .drain = order_drain,
                    .config = order_config,
                    .listeners = order_listeners,
                    .addresses = order_addresses,
                    .dns = order_dns,
                    .state = order_state,
                    .owner = d },
    };
    struct diag why = { "" };

    if (!d->config->control)
        return;
    d->control = control_create(&parts);
    enum err e = control_listen(d->control, d->config->name, &why);
    if (e)
        log_info(NO_ID, "no control socket", LOG_S("reason", diag_text(&why, e)));
}
