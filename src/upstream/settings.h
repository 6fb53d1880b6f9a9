/* upstream/settings.h - the settings of an upstream
 *
 * Shared by the modules of upstream/ and its owner.
 */
#pragma once

#include "base/str.h"
#include "catalog/own_pod.h"
#include "net/pem_text.h"

struct connector;
struct tls_rules;

/* Where this process listens; borrowed, outlives the upstream. */
struct own_listeners {
    /* Is this port of this address one of them?  NULL: not known. */
    bool (*has)(void *owner, const char *ip, uint16_t port);
    void *owner;
};

/* The connectors that open connections; borrowed, outlive the upstream.  Both are set with
 * --upstream auto, see upstream/connectors.h; otherwise one is NULL. */
struct upstream_connectors {
    struct connector *tunnel, *direct;
};

struct upstream_tls {
    struct tls_rules
        *rules; /* borrowed for the call; NULL: all ports are spoken to plainly */
    struct tls_pem cluster_ca; /* of the kubeconfig; borrowed likewise; may be empty */
};

struct upstream_settings {
    uint64_t idle_ms;    /* an idle connection to a pod is closed after this */
    bool prepare_second; /* prewarm a tunnel to a second endpoint of a service in use */
    uint64_t attempt_ms; /* look-up and dial may take this long where there is no wait */
    uint64_t silence_ms; /* a direct connection fails when data sent on it is not
                            acknowledged for this long; 0: never */
    size_t max_head_size, max_head_fields; /* of responses */
    uint32_t http2_streams;                /* per HTTP/2 connection to a pod, at most */
    uint32_t http2_window;                 /* of each of these streams, in bytes */
    uint16_t cluster;                      /* its number, for logs and metrics */
    const char *zone;                      /* the cluster's domain, borrowed */
    bool (*is_open)(void *owner, struct str ns); /* NULL: every namespace */
    void *is_open_owner;
    struct upstream_tls tls;        /* not for its modules: upstream/tls_ports.h has it */
    struct own_pod own;             /* requests for its services get own pages */
    struct own_listeners listeners; /* a request to one of them would be a loop */
};
