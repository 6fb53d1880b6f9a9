/* catalog/service.h - a service and the endpoints that serve it, as look-ups return them
 *
 * One immutable, shared object per service: a change replaces it, and a holder of a reference
 * keeps the state it started with.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct service_spec;

/* One pod that can serve.  Immutable; lives as long as its service entry is referenced,
 * and longer through endpoint_ref. */
struct endpoint {
    unsigned refs;
    const char *ns, *pod, *uid; /* uid: "" when the slice has none */
    const char
        *key; /* "NS/POD/UID" identifies it: a pod that replaces it has another, and
                        a slice with the UID of a foreign pod does not match that one's */
    const char *ip, *node; /* may be NULL */
    const char *hostname;  /* the endpoint's own label (StatefulSet), or NULL */
    uint64_t hash;         /* map_hash of the key; 0: it is not known */
    uint32_t rank;         /* random order; differs between processes */
    bool ready;            /* may get new connections */
    bool terminating;      /* used only if no endpoint is ready */
    /* Per service port: the container's port, 0: it has none.  A reference, see
     * container_ports.h; NULL: not an endpoint of a service. */
    const uint16_t *ports;
};

struct service_port {
    const char *name; /* "" when unnamed */
    uint16_t number;
    bool tcp;                 /* false: UDP or SCTP, which port-forward cannot carry */
    const char *app_protocol; /* or NULL */
    const char *target_name;  /* a named targetPort, or NULL */
    uint16_t target; /* a numeric targetPort (number itself when absent), 0 if named */
};

enum service_kind {
    SERVICE_NORMAL,
    SERVICE_EXTERNAL, /* type ExternalName: nothing to forward to */
    SERVICE_POD,      /* not a service: one pod looked up by name; any port is allowed */
    SERVICE_DEPLOYMENT, /* not a service: the pods of a Deployment; its ports are the
                           template's container ports, but any port is allowed */
};

struct service {
    unsigned refs;
    enum service_kind kind;
    const char *ns, *name;
    const char *external_name; /* SERVICE_EXTERNAL */
    bool has_selector, headless, sticky /* sessionAffinity: ClientIP */;
    const struct service_port *ports;
    size_t port_count;
    struct endpoint **endpoints; /* ready first, then not ready, terminating last */
    size_t endpoint_count;
    /* How many were left out because of PORTS_MAX and the like (objects.h). */
    size_t ports_left_out, endpoints_left_out;
    size_t by_address; /* endpoints of a service without a selector that name no pod */
    bool from_pods;   /* has ready endpoints from a list of pods, not yet in its slices */
    size_t pods_seen; /* pods that matched, whatever their state: for messages */
    size_t pods_over; /* of those: Succeeded or Failed, which are final */
    char *pods_note;  /* why none can serve: "2 pods match: web-1 Pending, ..." or NULL */
    uint64_t last_ready; /* sched ms when an endpoint was last ready; 0: never seen */
    struct service_spec *spec; /* private: a reference; owns the texts and ports above */
};

/* Only this many endpoints of a larger service are used: each needs tunnels of its own, and with
 * thousands of endpoints each tunnel would be used once.  They are the first of the ready ones by
 * rank, so they stay the same while they exist. */
#define SERVICE_SUBSET 64

struct endpoint *endpoint_ref(const struct endpoint *e);
void endpoint_unref(struct endpoint *e); /* NULL accepted */
struct service *service_ref(const struct service *s);
void service_unref(struct service *s); /* NULL accepted */

/* The container's port of service port `index` on this endpoint; 0: it has none. */
uint16_t endpoint_port(const struct service *s, const struct endpoint *e, size_t index);
