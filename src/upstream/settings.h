/* upstream/settings.h - what an upstream is made with
 *
 * Shared by the modules of upstream/ and its owner.
 */
#pragma once

#include "base/str.h"
#include "catalog/own_pod.h"

struct connector;

/* Where this process listens; borrowed, outlives the upstream. */
struct own_listeners {
    /* Is this port of this address one of them?  NULL: not known. */
    bool (*has)(void *owner, const char *ip, uint16_t port);
    void *owner;
};

/* What opens connections; borrowed, outlives the upstream.  Both: auto, see
 * upstream/connectors.h.  One of them: that one always. */
struct upstream_connectors {
    struct connector *tunnel, *direct;
};

struct upstream_settings {
    uint64_t idle_ms;    /* an idle connection to a pod is closed after this */
    bool prepare_second; /* have a tunnel to a second endpoint of a service in use */
    uint64_t attempt_ms; /* look-up and dial may take this long where there is no wait */
    uint64_t silence_ms; /* a pod whose packets stay away this long is lost; 0: ever */
    size_t max_head_size, max_head_fields; /* of answers */
    uint32_t http2_streams;                /* at once on an HTTP/2 connection to a pod */
    uint32_t http2_window;                 /* of each, in bytes */
    uint16_t cluster;                      /* its number, for logs and metrics */
    const char *zone;                      /* the cluster's domain, borrowed */
    bool (*opens)(void *owner, struct str ns); /* NULL: every namespace */
    void *opens_owner;
    struct own_pod own; /* requests for its services are answered by our own pages */
    struct own_listeners listeners; /* an endpoint that is one of them is a loop */
};
