/* playground/api/table.h - lists as kubectl prints them: meta.k8s.io/v1 Table */
#pragma once

#include "playground/api/kind.h"

/* A table of no rows yet; columns: include their definitions (only the first event of a
 * watch has them). */
json_t *table_create(const struct kind *k, const char *revision, bool columns);
void table_add(json_t *table, const struct kind *k, const json_t *object);

/* Does the client request tables? */
bool table_wanted(struct str accept);
