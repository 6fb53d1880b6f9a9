/* catalog/entry.h - from objects to the entry that other folders read
 *
 * Pure: the API server's objects go in, one immutable struct service comes out, and the
 * caller owns the only reference.  Endpoints are in the order of preference: ready, then
 * not ready, terminating last (and only while they still serve).
 */
#pragma once

#include "base/map.h"
#include "catalog/objects.h"

/* pods: everything that matches the selector; NULL: not listed.  Where the slices show
 * nothing ready they give the reason, and those of them that are ready serve: the
 * controller that writes slices may be behind.  missing: the UIDs of pods that do not
 * exist, although lists have them; NULL: none. */
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
