/* catalog/zone.h - the cluster's domain, from the ConfigMap of its DNS server
 *
 * No API object contains the domain, but CoreDNS' Corefile does, if it may be read.  The known
 * ConfigMaps are tried one after the other, in the background.  If none may be read, nothing is
 * logged.
 */
#pragma once

#include "kube/api.h"

struct zone_finder;

/* `answered` is called once, from the loop: with the domain, or NULL where it cannot be
 * known.  While the API server cannot be reached it is called with NULL and read again. */
struct zone_finder *zone_finder_create(struct sched *sched, struct api *api,
                                       uint64_t call_ms,
                                       void (*answered)(void *owner, const char *zone),
                                       void *owner);
void zone_finder_destroy(struct zone_finder *z); /* NULL accepted */
