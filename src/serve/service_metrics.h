/* serve/service_metrics.h - durations of requests for each of a limited number of services
 *
 * The first services that answer get series of their own, the rest shares one that is called
 * "other": clients cannot grow /metrics.  Only services of endpoints count, so a client
 * cannot choose the label either.  Private to serve/.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct lease;
struct route;
struct service_metrics;

/* max 0: NULL, and nothing is counted. */
struct service_metrics *service_metrics_create(size_t max);
void service_metrics_destroy(struct service_metrics *m); /* NULL accepted */
/* A request has ended. */
void service_metrics_note(struct service_metrics *m, const struct route *route,
                          const struct lease *lease, uint16_t cluster, uint64_t ms);
