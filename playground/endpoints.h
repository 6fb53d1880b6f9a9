/* playground/endpoints.h - the endpoint slice controller */
#pragma once

#include "playground/api/store.h"

#define SLICE_ENDPOINTS 100 /* the maximum of the real controller */

/* Namespaces whose slices scale.c writes; SCALE_NAMESPACE is followed by a number. */
#define SCALE_NAMESPACE "scale-"
#define ROLL_NAMESPACE "roll"

/* Updates all slices; those that are correct are not written. */
void endpoints_sync(struct store *s);
