/* playground/endpoints.h - the endpoint slice controller */
#pragma once

#include "playground/api/store.h"

#define SLICE_ENDPOINTS 100 /* as many as the real controller puts into one */

/* Bring all slices up to date; what is right already stays untouched. */
void endpoints_sync(struct store *s);
