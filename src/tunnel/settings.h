/* tunnel/settings.h - what an owner of tunnels decides
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum tunnel_transport {
    TUNNEL_TRANSPORT_AUTO, /* the usual one first, the other when it is refused */
    TUNNEL_TRANSPORT_SPDY,
    TUNNEL_TRANSPORT_WEBSOCKET,
};

/* Called from a task when openings lack something, for one of them at a time. */
struct tunnel_room {
    /* The pod has as many tunnels as it may: end a connection on one of them that makes no
     * progress.  False: there is none. */
    bool (*free_tunnel)(void *owner, const char *pod_key);
    /* A dial got none; before the next. */
    void (*free_descriptor)(void *owner);
    void *owner; /* NULL: there is nothing to free */
};

struct tunnel_settings {
    uint64_t idle_ms, check_ms;
    uint64_t dial_ms;         /* from the first packet to the 101 */
    uint64_t ping_ms;         /* a PING after this much silence of ours */
    uint64_t ping_timeout_ms; /* nothing received for this long while reading: dead */
    uint32_t own_max;         /* per pod: up to this many carry one connection each */
    uint32_t own_brief_max;   /* ... for openings that need not be alone */
    bool coalesce; /* ... but own_max for these, too, where answers were large lately */
    uint32_t tunnels_max; /* per pod, shared ones included; further openings wait */
    uint32_t dials_max;   /* under way at once per node: each costs it a millisecond */
    uint32_t pairs_max;   /* a tunnel retires after carrying this many */
    uint64_t age_ms;      /* ... or at this age */
    bool connect_ahead;   /* make one connection to the API server at start */
    bool dial_ahead;      /* keep tunnels for as many as came at once lately */
    uint32_t prewarmed;   /* with dial_ahead: this many beside the first of a used pod */
    enum tunnel_transport transport;
    struct tunnel_room room;
    uint16_t cluster;  /* its number, for logs and metrics */
    uint64_t *last_id; /* the last tunnel's of the process; borrowed; NULL: of these */
};
