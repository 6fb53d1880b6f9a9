/* catalog/zone.h - the cluster's domain, from the ConfigMap of its DNS server
 *
 * No API object has the domain; the Corefile of CoreDNS does, where one may read it.  It is
 * read beside everything else, one place after the other, and nothing waits for it.
 * That it may not be read is no reason for a word.
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
