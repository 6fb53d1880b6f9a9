/* tunnel/settings.h - the settings of the tunnels through one API server
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum tunnel_transport {
    TUNNEL_TRANSPORT_AUTO, /* the usual one first, the other when it is refused */
    TUNNEL_TRANSPORT_SPDY,
    TUNNEL_TRANSPORT_WEBSOCKET,
};

/* Called from a task, once for each opening that waits for a tunnel or a descriptor. */
struct tunnel_room {
    /* The pod has tunnels_max tunnels: end a connection on one of them that makes no
     * progress.  False: there is none. */
    bool (*free_tunnel)(void *owner, const char *pod_key);
    /* A dial failed because no descriptor was left: close an idle connection. */
    void (*free_descriptor)(void *owner);
    void *owner; /* NULL: these functions are not called */
};

struct tunnel_settings {
    uint64_t idle_ms, check_ms;
    uint64_t dial_ms;         /* from the first packet to the 101 */
    uint64_t ping_ms;         /* interval of PINGs for the liveness check */
    uint64_t ping_timeout_ms; /* nothing received for this long while reading: dead */
    uint32_t own_max;         /* own tunnels per pod, at most */
    uint32_t own_brief_max;   /* the same for openings that do not want to be alone */
    bool coalesce; /* use own_max for those, too, after large responses: coalesce.h */
    uint32_t tunnels_max; /* per pod, shared ones included; further openings wait */
    uint32_t dials_max;   /* under way at once per node: each costs it a millisecond */
    uint32_t pairs_max;   /* a tunnel retires after carrying this many */
    uint64_t age_ms;      /* ... or at this age */
    bool connect_ahead;   /* make one connection to the API server at start */
    bool dial_ahead;      /* prewarm tunnels for the recent peak of connections */
    uint32_t
        prewarmed; /* with dial_ahead: so many beside the first one of a pod in use */
    enum tunnel_transport transport;
    struct tunnel_room room;
    uint16_t cluster; /* number of the cluster, for logs and metrics */
    /* The id of the last tunnel, shared by all clusters of the process, so that ids in the log
     * are unique; borrowed; NULL: not shared. */
    uint64_t *last_id;
};
