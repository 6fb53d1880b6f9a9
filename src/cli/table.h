/* cli/table.h - prints rows of text in columns as wide as their longest cells */
#pragma once

#include <stdbool.h>
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
/* Sorts by a column: numbers at the beginning of cells by their value. */
void table_sort(struct table *t, size_t column, bool descending);
/* Keeps the rows that have this text, whatever its case, in a cell; "": all. */
void table_keep(struct table *t, const char *text);
size_t table_rows(const struct table *t);
/* Prints the headings, then the rows in the order in which they were added. */
void table_print(const struct table *t, FILE *to);
