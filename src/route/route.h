/* route/route.h - which port of a service, and which of its endpoints, a request is for
 *
 * Functions of a name and a catalog entry, without waiting or I/O.
 */
#pragma once

#include "route/name.h"

struct endpoint;
struct service;

/* The destination of a request.  It has no endpoints: they are looked up again at each
 * attempt. */
struct route {
    struct name name;
    uint16_t port; /* service port (or pod port); 0: the scheme's default */
    bool
        outside; /* an address that no service or pod has is connected to outside the cluster */
    bool tls; /* if there is no port: choose the service's TLS port, not its first */
    bool no_tls_port;     /* likewise: the service counts as one without a TLS port */
    uint16_t target_port; /* --target-port: overrides the container's port; 0: none */
};

/* Chooses the service port of a route.
 *   port given       that one must be declared (by _port name: that name)
 *   none             80 if declared, else the only or first TCP port
 *   none, tls        443 if declared, else the first that is called https, https-*, tls or
 *                    tls-*, or whose appProtocol is https or tls
 * A SERVICE_POD takes any port; its *ret_index is 0 and the port is the container's.  So
 * does a SERVICE_DEPLOYMENT when the port is a number; without one, the same ports are
 * preferred among those of its containers. ERR_NO_PORT with a sentence listing the declared
 * ones ("declares 80 (http), 9090 (grpc)"); ERR_UNSUPPORTED for a port that is not TCP;
 * ERR_UNAVAILABLE for an ExternalName, and for a service without selector and without
 * endpoints: the sentence states which of both and what to do. */
MUST_CHECK enum err route_port(const struct route *r, const struct service *s,
                               size_t *ret_index, struct diag *why);

/* Does the service port of a route speak TLS?  Its appProtocol declares that, or without a known
 * one its name: https, https-*, tls, tls-* do, http, grpc and the like do not.  A port that
 * declares nothing and has the number 443 or 8443 probably does. */
enum port_tls { PORT_PLAIN, PORT_TLS_BY_NUMBER, PORT_TLS_DECLARED };
enum port_tls route_port_tls(const struct route *r, const struct service *s,
                             size_t index);
/* The number that the decision was made by: the service port's, or where a route takes any port
 * of a pod the container's. */
uint16_t route_port_number(const struct route *r, const struct service *s, size_t index);

/* "services" or "deployments", for messages. */
const char *route_plural(const struct service *s);

/* The container's port of this endpoint for this route; 0: it has none. */
uint16_t route_container_port(const struct route *r, const struct service *s,
                              const struct endpoint *e, size_t index);

/* May this endpoint be used for this route (NAME_ENDPOINT picks one by label)? */
bool route_matches(const struct route *r, const struct endpoint *e);
