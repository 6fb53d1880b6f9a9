/* cli/table.h - rows of text in columns as wide as they need to be */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct table;

#define TABLE_GAP 3 /* between columns */
#define TABLE_COLUMNS_MAX 8

/* The first `columns` of the headings, which are static texts. */
struct table *table_create(const char *const *headings, size_t columns);
void table_destroy(struct table *t); /* NULL accepted */

/* As many cells as there are headings; copied. */
void table_add(struct table *t, const char *const *cells);
/* In the order in which they were added, the headings first. */
void table_print(const struct table *t, FILE *to);
