/* kube/status.h - metav1.Status objects; private to kube/ (see api_error_from_response) */
#pragma once

#include <jansson.h>

#include "kube/api_error.h"

/* Fill in from a Status that came as an object, for instance in a watch's ERROR event. */
void status_read(struct api_error *e, json_t *status);
