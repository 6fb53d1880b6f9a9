/* kube/yaml_json.h - a YAML value as JSON, for what is passed on without being read */
#pragma once

#include <jansson.h>

#include "yaml/cursor.h"

/* With the value's first event at hand, the last one afterwards.  Numbers and words for
 * true, false and null are distinguished from text as Kubernetes does.  *ret is the
 * caller's. */
MUST_CHECK enum err yaml_to_json(struct yaml_cursor *c, json_t **ret);
