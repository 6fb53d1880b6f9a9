/* forward/parts.h - what a forward is made of, and where it reports to */
#pragma once

#include "forward/spec.h"
#include "kube/api.h"
#include "net/peer.h"

struct tunnels;

struct forward_report {
    /* Lines of standard output and standard error, without the line break. */
    void (*out)(void *owner, const char *line);
    void (*err)(void *owner, const char *line);
    /* The start has failed, and the reason was reported; not called from forward_open. */
    void (*failed)(void *owner);
    void *owner;
};

/* All borrowed until forward_close. */
struct forward_parts {
    struct loop *loop;
    struct api *api;
    struct tunnels *tunnels;
    const struct forward_specs *specs;
    const char *ns; /* of targets without one of their own */
    uint64_t pod_running_ms;
    size_t replay_buffer, connections_max;
    bool half_close;
    /* May this user of this machine connect? */
    bool (*allows)(void *owner, const struct peer *peer);
    void *owner; /* of allows */
    struct forward_report report;
};
