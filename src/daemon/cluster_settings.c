/* daemon/cluster_settings.c - the settings that apply to every cluster */
#include "daemon/cluster_settings.h"

#include "cluster/settings.h"

/* An upper bound where one is needed: no pod has so many connections at once. */
#define TUNNELS_PER_POD_MAX 1024
#define DIALS_PER_NODE_MAX 8
/* own tunnels per pod for small requests, before these share tunnels */
#define OWN_BRIEF 1

/* --upstream auto: a tunnel is used if the pod's address has not answered by then */
#define DIRECT_MS 300
#define CALL_MS 10000               /* time-out of one call of the API server */
#define TERMINAL_MS (5 * 60 * 1000) /* for a person to enter a password or a token */
/* bytes of JSON; the objects in memory take half of that */
#define LAZY_ABOVE_BYTES (64 * MIB)
/* how long an answer of the API server is used where watching is not permitted */
#define KEEP_MS 3000

static const enum tunnel_transport transports[] = {
    [TRANSPORT_AUTO] = TUNNEL_TRANSPORT_AUTO,
    [TRANSPORT_SPDY] = TUNNEL_TRANSPORT_SPDY,
    [TRANSPORT_WEBSOCKET] = TUNNEL_TRANSPORT_WEBSOCKET,
};

static const enum cluster_way ways[] = {
    [UPSTREAM_AUTO] = CLUSTER_WAY_AUTO,
    [UPSTREAM_TUNNEL] = CLUSTER_WAY_TUNNEL,
    [UPSTREAM_DIRECT] = CLUSTER_WAY_DIRECT,
};

static const enum discovery discoveries[] = {
    [DISCOVER_AUTO] = DISCOVERY_AUTO,
    [DISCOVER_WATCH] = DISCOVERY_WATCH,
    [DISCOVER_LAZY] = DISCOVERY_LAZY,
};

static struct catalog_settings catalog_of(const struct config *c)
{
    return (struct catalog_settings){
        .keep_ms = KEEP_MS,
        .call_ms = CALL_MS,
        .namespaces = c->namespaces.at,
        .namespace_count = c->namespaces.count,
        .discovery = discoveries[c->discovery],
        .lazy_above = c->lazy_above,
        .lazy_above_bytes = LAZY_ABOVE_BYTES,
    };
}

static struct api_limits limits_of(const struct config *c)
{
    return (struct api_limits){
        .objects = c->max_objects,
        .bytes = c->max_objects_size,
        .calls_per_second = c->lookup_rate,
        .calls_burst = c->lookup_burst,
    };
}

struct tunnel_settings tunnel_settings_of(const struct config *c)
{
    bool coalesce = c->http_tunnels_per_pod == COUNT_AUTO;

    return (struct tunnel_settings){
        .idle_ms = c->idle_timeout_ms,
        .check_ms = c->idle_check_ms,
        .dial_ms = c->dial_timeout_ms,
        .ping_ms = c->ping_interval_ms,
        .ping_timeout_ms = c->ping_timeout_ms,
        .own_max = c->tunnels_per_pod,
        .own_brief_max = coalesce ? OWN_BRIEF : c->http_tunnels_per_pod,
        .coalesce = coalesce,
        .tunnels_max = TUNNELS_PER_POD_MAX,
        .dials_max = DIALS_PER_NODE_MAX,
        .pairs_max = c->tunnel_max_pairs,
        .age_ms = c->tunnel_max_age_ms,
        .connect_ahead = true,
        .dial_ahead = true,
        .prewarmed = c->prewarmed_tunnels,
        .transport = transports[c->transport],
    };
}

struct cluster_settings cluster_settings_of(const struct config *c)
{
    return (struct cluster_settings){
        .catalog = catalog_of(c),
        .limits = limits_of(c),
        .way = ways[c->upstream],
        .tunnels = tunnel_settings_of(c),
        .direct = { .connect_ms =
                        c->upstream == UPSTREAM_DIRECT ? c->dial_timeout_ms : DIRECT_MS },
        .upstream = { .idle_ms = c->idle_timeout_ms,
                      .prepare_second = c->prewarmed_tunnels > 0,
                      .attempt_ms = c->dial_timeout_ms,
                      .silence_ms = c->ping_timeout_ms,
                      .max_head_size = c->max_head_size,
                      .max_head_fields = c->max_head_fields,
                      .http2_streams = c->http2_streams,
                      .http2_window = (uint32_t)c->http2_window,
                      .zone = c->cluster_domain },
        .find_zone = !config_is_set(c, SETTING_cluster_domain),
    };
}

void cluster_settings_update(struct cluster_settings *s, const struct config *c)
{
    const struct cluster_settings fresh = cluster_settings_of(c);
    struct tunnel_room room = s->tunnels.room;

    s->limits = fresh.limits;
    s->tunnels = fresh.tunnels;
    s->tunnels.room = room;
    s->direct = fresh.direct;
    s->upstream.idle_ms = fresh.upstream.idle_ms;
    s->upstream.prepare_second = fresh.upstream.prepare_second;
    s->upstream.attempt_ms = fresh.upstream.attempt_ms;
    s->upstream.silence_ms = fresh.upstream.silence_ms;
    s->upstream.max_head_size = fresh.upstream.max_head_size;
    s->upstream.max_head_fields = fresh.upstream.max_head_fields;
    s->upstream.http2_streams = fresh.upstream.http2_streams;
    s->upstream.http2_window = fresh.upstream.http2_window;
}

struct clusters_choice clusters_choice_of(const struct config *c, bool offline)
{
    return (struct clusters_choice){
        .kubeconfig = c->kubeconfig,
        .contexts = (const char *const *)c->contexts.at,
        .context_count = c->contexts.count,
        .ns = c->namespace,
        .zone = str_of(c->cluster_domain),
        .offline = offline,
    };
}

struct exec_settings exec_settings_of(const struct config *c)
{
    uint64_t ms = c->plugin_timeout_ms;

    return (struct exec_settings){ .run_ms = ms,
                                   .terminal_ms = ms > TERMINAL_MS ? ms : TERMINAL_MS };
}
