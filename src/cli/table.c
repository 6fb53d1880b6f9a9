/* cli/table.c - prints rows of text in columns as wide as their longest cells */
#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/str.h"
#include "base/utf8.h"

struct row {
    char *cells[TABLE_COLUMNS_MAX];
};

struct table {
    const char *const *headings;
    size_t columns, rows;
    struct row *at;
};

struct table *table_create(const char *const *headings, size_t columns)
{
    struct table *t = xcalloc(1, sizeof(*t));

    t->headings = headings;
    t->columns = columns;
    return t;
}

void table_destroy(struct table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->rows; i++)
        for (size_t c = 0; c < t->columns; c++)
            free(t->at[i].cells[c]);
    free(t->at);
    free(t);
}

void table_add(struct table *t, const char *const *cells)
{
    t->at = xrealloc(t->at, (t->rows + 1) * sizeof(*t->at));
    for (size_t c = 0; c < t->columns; c++) {
        char *cell = t->at[t->rows].cells[c] = xstrdup(cells[c]);
        text_make_printable(cell, false);
    }
    t->rows++;
}

static size_t width_of(const struct table *t, size_t column)
{
    size_t widest = strlen(t->headings[column]);

    for (size_t i = 0; i < t->rows; i++) {
        size_t width = strlen(t->at[i].cells[column]);
        widest = width > widest ? width : widest;
    }
    return widest;
}

static void print_row(const struct table *t, const char *const *cells,
                      const size_t *widths, FILE *to)
{
    for (size_t c = 0; c + 1 < t->columns; c++)
        fprintf(to, "%-*s", (int)widths[c] + TABLE_GAP, cells[c]);
    fprintf(to, "%s\n", cells[t->columns - 1]);
}

void table_print(const struct table *t, FILE *to)
{
    size_t widths[TABLE_COLUMNS_MAX] = { 0 };

    for (size_t c = 0; c < t->columns; c++)
        widths[c] = width_of(t, c);
    print_row(t, t->headings, widths, to);
    for (size_t i = 0; i < t->rows; i++)
        print_row(t, (const char *const *)t->at[i].cells, widths, to);
}

/* --- sorting and filtering --- */

struct order {
    size_t column;
    bool descending;
};

static int compare_cells(const char *a, const char *b)
{
    char *after_a, *after_b;
    unsigned long long x = strtoull(a, &after_a, 10), y = strtoull(b, &after_b, 10);

    if (after_a != a && after_b != b && x != y)
        return x < y ? -1 : 1;
    return strcmp(a, b);
}

static int compare_rows(const void *a, const void *b, void *by)
{
    const struct row *x = a, *y = b;
    const struct order *order = by;
    int differ = compare_cells(x->cells[order->column], y->cells[order->column]);

    return order->descending ? -differ : differ;
}

void table_sort(struct table *t, size_t column, bool descending)
{
    struct order order = { column, descending };

    if (t->rows > 1 && column < t->columns)
        qsort_r(t->at, t->rows, sizeof(*t->at), compare_rows, &order);
}

static bool has_text(const struct table *t, const struct row *r, const char *text)
{
    for (size_t c = 0; c < t->columns; c++)
        if (strcasestr(r->cells[c], text))
            return true;
    return false;
}

void table_keep(struct table *t, const char *text)
{
    size_t kept = 0;

    for (size_t i = 0; i < t->rows; i++) {
        if (has_text(t, &t->at[i], text)) {
            t->at[kept++] = t->at[i];
            continue;
        }
        for (size_t c = 0; c < t->columns; c++)
            free(t->at[i].cells[c]);
    }
    t->rows = kept;
}

size_t table_rows(const struct table *t)
{
    return t->rows;
}
