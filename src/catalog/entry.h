/* catalog/entry.h - build the immutable struct service of a record (its entry)
 *
 * Pure: makes one struct service from the API server's objects; the caller owns the only
 * reference.  Endpoints are in the order of preference: ready, then not ready, terminating last
 * (and only while they still serve).
 */
#pragma once

#include "base/map.h"
#include "catalog/objects.h"

/* pods: the pods that match the selector; NULL: not listed.  They are used if no endpoint is
 * ready by the slices: ready pods become endpoints, since the controller that writes slices may
 * be late, and the others give the reason.  missing: keys of pods that do not exist although
 * slices have them; NULL: none. */
struct service *entry_from_slices(const struct service_spec *spec,
                                  const struct slice_list *slices,
                                  const struct pod_list *pods, const struct map *missing);
/* Where endpointslices may not be read. */
struct service *entry_from_pods(const struct service_spec *spec,
                                const struct pod_list *pods, const struct map *missing);
/* A SERVICE_POD. */
struct service *entry_for_pod(const struct pod *pod);

/* Are they equal in everything that other folders read? */
bool entry_equal(const struct service *a, const struct service *b);
bool entry_has_ready(const struct service *s);
