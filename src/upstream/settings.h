/* upstream/settings.h - the settings of an upstream
 *
 * Shared by the modules of upstream/ and its owner.
 */
#pragma once

#include "base/str.h"
#include "catalog/own_pod.h"

struct connector;
struct tls_trust;

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

/* How the certificate of one service is verified; borrowed, outlives the upstream. */
struct tls_rule {
    const char *ns, *service;
    const char *server_name; /* expected in place of the service's names; or NULL */
    struct tls_trust *trust; /* in place of upstream_tls.trust; or NULL */
    bool unverified;         /* any certificate is accepted */
    const uint8_t *pin; /* SHA-256 of the only certificate that is accepted; or NULL */
};

struct upstream_tls {
    /* of services without a rule; borrowed; NULL: all ports are spoken to plainly */
    struct tls_trust *trust;
    const struct tls_rule *rules;
    size_t rule_count;
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
    struct upstream_tls tls;
    struct own_pod own;             /* requests for its services get own pages */
    struct own_listeners listeners; /* a request to one of them would be a loop */
};
