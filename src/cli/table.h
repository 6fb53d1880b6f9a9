/* cli/table.h - prints rows of text in columns as wide as their longest cells */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct table;

#define TABLE_GAP 3 /* between columns */
#define TABLE_COLUMNS_MAX 8

/* A table with the first `columns` of the headings, which are static texts. */
struct table *table_create(const char *const *headings, size_t columns);
void table_destroy(struct table *t); /* NULL accepted */

/* Adds a row with as many cells as headings; they are copied. */
void table_add(struct table *t, const char *const *cells);
/* Prints the headings, then the rows in the order in which they were added. */
void table_print(const struct table *t, FILE *to);
