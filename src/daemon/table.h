/* daemon/table.h - rows of text in columns as wide as they need to be */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct table;

/* Static texts, NULL at the end. */
struct table *table_create(const char *const *headings);
void table_destroy(struct table *t); /* NULL accepted */

/* As many cells as there are headings; copied. */
void table_add(struct table *t, const char *const *cells);
bool table_empty(const struct table *t);
/* Sorted by the first columns, the headings first. */
void table_print(struct table *t, FILE *to);
