/* daemon/table.c - rows of text in columns as wide as they need to be */
#include "daemon/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"

#define GAP 3

struct row {
    char *cells[8];
};

struct table {
    const char *const *headings;
    size_t columns, rows;
    struct row *at;
};

struct table *table_create(const char *const *headings)
{
    struct table *t = xcalloc(1, sizeof(*t));

    t->headings = headings;
    while (headings[t->columns])
        t->columns++;
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
    for (size_t c = 0; c < t->columns; c++)
        t->at[t->rows].cells[c] = xstrdup(cells[c]);
    t->rows++;
}

bool table_empty(const struct table *t)
{
    return t->rows == 0;
}

static int compare(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = strcmp(x->cells[0], y->cells[0]);
    return order ? order : strcmp(x->cells[1], y->cells[1]);
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
        fprintf(to, "%-*s", (int)widths[c] + GAP, cells[c]);
    fprintf(to, "%s\n", cells[t->columns - 1]);
}

void table_print(struct table *t, FILE *to)
{
    size_t widths[ARRAY_LEN(t->at->cells)] = { 0 };

    if (t->rows > 1)
        qsort(t->at, t->rows, sizeof(*t->at), compare);
    for (size_t c = 0; c < t->columns; c++)
        widths[c] = width_of(t, c);
    print_row(t, t->headings, widths, to);
    for (size_t i = 0; i < t->rows; i++)
        print_row(t, (const char *const *)t->at[i].cells, widths, to);
}
