/* playground/endpoints.h - the endpoint slice controller */
#pragma once

#include "playground/api/store.h"

#define SLICE_ENDPOINTS 100 /* as many as the real controller puts into one */

/* Namespaces whose slices are written by scale.h, the first with a number behind it. */
#define SCALE_NAMESPACE "scale-"
#define ROLL_NAMESPACE "roll"

/* Bring all slices up to date; correct ones stay untouched. */
void endpoints_sync(struct store *s);
