/* catalog/container_ports.h - the container's port for each port of a service
 *
 * An array with one number for each port of the service, in the service's order; 0: the
 * container has none.  All endpoints of an EndpointSlice have the same numbers, and so have
 * pods that were made from one template: they share one immutable array.
 *
 * The API server allows 20,000 ports in a slice, so the work and the memory of one build
 * are bounded in all (CELLS_MAX) and not only per object.
 */
#pragma once

#include "base/map.h"
#include "catalog/objects.h"

/* One build of a service's entry.  The caller's memory. */
struct container_ports {
    const struct service_port *ports; /* of the service: borrowed until _finish */
    size_t count;
    size_t cells_left; /* numbers that may still be computed */
    struct map known;  /* arrays by their content */
    uint16_t *scratch;
    struct {
        const uint16_t *first, *second, *both;
    } last_merge; /* cached, since successive endpoints mostly need the same merge */
};

void container_ports_init(struct container_ports *c, const struct service_port *ports,
                          size_t count);
void container_ports_finish(struct container_ports *c); /* referenced arrays stay valid */

/* References; NULL: the bound is reached.  A slice with port 0 means the target port. */
const uint16_t *container_ports_of_slice(struct container_ports *c,
                                         const struct slice *slice);
const uint16_t *container_ports_of_pod(struct container_ports *c, const struct pod *pod);
/* The first's numbers, and the second's where the first has none. */
const uint16_t *container_ports_merge(struct container_ports *c, const uint16_t *first,
                                      const uint16_t *second);

const uint16_t *container_ports_ref(const uint16_t *numbers);
void container_ports_unref(const uint16_t *numbers); /* NULL accepted */
