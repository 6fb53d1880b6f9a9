/* cluster/cluster.c - everything that belongs to one API server and one user of it
 *
 *      transfers ─ api ─ catalog ─ tunnels ─ addresses ─ direct ─ upstream
 *
 * Each one borrows from those to its left and knows nothing of those to its right, so they
 * are destroyed in the opposite order.
 */
#include "cluster/cluster.h"

#include <assert.h>

#include "base/own.h"
#include "catalog/pod_addresses.h"
#include "catalog/zone.h"
#include "cluster/settings.h"
#include "kube/target.h"
#include "net/loop.h"
#include "net/transfers.h"

static void cluster_destroyp(struct cluster **c)
{
    cluster_destroy(*c);
}

static void start_catalog(struct cluster *c, struct loop *loop,
                          const struct cluster_settings *settings)
{
    struct catalog_settings catalog = settings->catalog;

    catalog.cluster = c->number;
    catalog.home_ns = api_target(c->api)->ns;
    c->catalog = catalog_create(loop_sched(loop), c->api, &catalog);
}

static void on_zone(void *owner, const char *zone)
{
    struct cluster *c = owner;

    if (zone)
        upstream_set_zone(c->upstream, zone);
    if (c->on_zone)
        c->on_zone(c->zone_owner, c->number, zone);
}

/* After the first lists, so that these go out before. */
static void find_zone(struct cluster *c, struct loop *loop,
                      const struct cluster_settings *settings)
{
    if (!settings->find_zone)
        return;
    c->on_zone = settings->on_zone;
    c->zone_owner = settings->zone_owner;
    c->zone = zone_finder_create(loop_sched(loop), c->api, settings->catalog.call_ms,
                                 on_zone, c);
}

static enum cluster_way way_of(const struct cluster_settings *settings,
                               const struct kube_target *target)
{
    bool own_cluster = !target->cluster;

    if (settings->way == CLUSTER_WAY_AUTO && !own_cluster)
        return CLUSTER_WAY_TUNNEL;
    return settings->way;
}

static void start_direct(struct cluster *c, struct loop *loop,
                         const struct cluster_settings *settings)
{
    struct direct_settings direct = settings->direct;

    direct.cluster = c->number;
    direct.api_server = api_target(c->api)->host;
    c->addresses =
        pod_addresses_create(loop_sched(loop), c->api, settings->catalog.call_ms);
    c->direct = direct_create(loop, c->addresses, &direct);
}

/* The cluster's authority is trusted for its services, too. */
static void add_authority(const struct cluster *c, struct upstream_settings *settings)
{
    const struct kube_target *target = api_target(c->api);

    settings->tls.cluster_ca = (struct tls_pem){ target->ca, target->ca_name };
}

static void start_upstream(struct cluster *c, struct loop *loop,
                           const struct cluster_settings *settings)
{
    struct upstream_settings upstream = settings->upstream;
    enum cluster_way way = way_of(settings, api_target(c->api));
    struct upstream_connectors connectors = { 0 };

    if (way != CLUSTER_WAY_TUNNEL)
        start_direct(c, loop, settings);
    if (way != CLUSTER_WAY_DIRECT)
        connectors.tunnel = tunnels_connector(c->tunnels);
    connectors.direct = c->direct ? direct_connector(c->direct) : NULL;
    upstream.cluster = c->number;
    add_authority(c, &upstream);
    c->upstream = upstream_create(loop, c->catalog, &connectors, &upstream);
}

enum err cluster_create(struct loop *loop, const struct cluster_settings *settings,
                        uint16_t number, struct kube_target *target, struct cluster **ret,
                        struct diag *why)
{
    AUTO(cluster_destroyp) struct cluster *c = xcalloc(1, sizeof(*c));
    struct tunnel_settings tunnels = settings->tunnels;

    c->refs = 1;
    list_init(&c->node);
    c->number = tunnels.cluster = number;
    c->name = xstrdup(target->context);
    tunnels.connect_ahead &= settings->way != CLUSTER_WAY_DIRECT;
    c->transfers = transfers_create(loop);
    c->api = api_create(loop, c->transfers, target, settings->plugins);
    api_set_cluster(c->api, number);
    api_limit(c->api, &settings->limits);
    enum err e = tunnels_create(loop, c->transfers, c->api, &tunnels, &c->tunnels, why);
    if (e)
        return e;
    start_catalog(c, loop, settings);
    start_upstream(c, loop, settings);
    find_zone(c, loop, settings);
    *ret = TAKE(c);
    return OK;
}

void cluster_configure(struct cluster *c, const struct cluster_settings *settings)
{
    api_limit(c->api, &settings->limits);
    tunnels_configure(c->tunnels, &settings->tunnels);
    if (c->direct)
        direct_set_connect_ms(c->direct, settings->direct.connect_ms);
    struct upstream_settings upstream = settings->upstream;
    add_authority(c, &upstream);
    upstream_configure(c->upstream, &upstream);
}

void cluster_unref(struct cluster *c)
{
    if (!c)
        return;
    assert(c->refs);
    if (--c->refs == 0)
        task_wake(c->ended);
}

void cluster_retire(struct cluster *c, struct task *ended)
{
    c->retired = true;
    c->ended = ended;
    catalog_stop(c->catalog);
    zone_finder_destroy(TAKE(c->zone));
    upstream_drain(c->upstream, ended);
    tunnels_drain(c->tunnels, ended);
    task_wake(ended);
}

bool cluster_ended(const struct cluster *c)
{
    return c->retired && c->refs == 0 && tunnels_idle(c->tunnels);
}

void cluster_destroy(struct cluster *c)
{
    if (!c)
        return;
    zone_finder_destroy(c->zone);
    upstream_destroy(c->upstream);
    direct_destroy(c->direct);
    pod_addresses_destroy(c->addresses);
    tunnels_destroy(c->tunnels);
    catalog_destroy(c->catalog);
    api_destroy(c->api);
    transfers_destroy(c->transfers);
    free(c->name);
    free(c);
}
