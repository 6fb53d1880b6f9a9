/* playground/scale.h - a large cluster, made cheaply, in which things happen at a rate
 *
 * Services scale-N/svc-M whose slices name pods that do not exist: enough for all that
 * a client has to hold and to keep up with.  And "roll/roll", whose pods do exist and can
 * be replaced a few at a time.  The slices of both are written here, not by the
 * endpoint slice controller (endpoints.h).
 */
#pragma once

#include "playground/cluster.h"

struct scale;

struct scale *scale_create(struct cluster *c);
void scale_destroy(struct scale *s); /* NULL accepted */

/* So many services, and endpoints in all: each service has one slice per 100. */
void scale_fill(struct scale *s, size_t services, size_t endpoints);
/* The service roll/roll with so many pods. */
void scale_fill_roll(struct scale *s, size_t pods);

/* Change so many slices of 100 endpoints a second; 0: none any more. */
void scale_churn(struct scale *s, uint32_t per_second);
/* Replace all pods of roll/roll, so many a second, slice by slice; 0: stop. */
void scale_roll(struct scale *s, uint32_t pods_per_second);
size_t scale_left_to_roll(const struct scale *s);
