/* playground/scale.h - a large cluster of few resources, with changes at a given rate
 *
 * Services scale-N/svc-M whose slices name pods that do not exist: enough to measure a
 * client's memory and its work per change.  And "roll/roll", whose pods do exist and can
 * be replaced a few at a time.  The slices of both are written here, not by the endpoint
 * slice controller (endpoints.h).
 */
#pragma once

#include "playground/cluster.h"

struct scale;

struct scale *scale_create(struct cluster *c);
void scale_destroy(struct scale *s); /* NULL accepted */

/* Adds this many services, and endpoints in total; a service has a slice per 100
 * endpoints. */
void scale_fill(struct scale *s, size_t services, size_t endpoints);
/* Adds the service roll/roll with this many pods. */
void scale_fill_roll(struct scale *s, size_t pods);

/* Changes this many slices of 100 endpoints per second; 0: stop. */
void scale_churn(struct scale *s, uint32_t per_second);
/* Replaces all pods of roll/roll, this many per second, slice by slice; 0: stop. */
void scale_roll(struct scale *s, uint32_t pods_per_second);
size_t scale_left_to_roll(const struct scale *s);
