/* cli/listed.c - the rows of a list of services, and printing them */
#include "cli/listed.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/str.h"
#include "base/utf8.h"
#include "cli/table.h"

#define PORTS_COLUMN 4

static const char *const headings[] = { "CLUSTER", "NAMESPACE",
                                        "SERVICE", "URL",
                                        "PORTS",   "URL WHERE THE CLUSTER'S DNS IS",
                                        NULL };
#define COLUMNS (ARRAY_LEN(headings) - 1)
#define COLUMNS_LEAST 3 /* the columns of names */

/* The index of the first column. */
static size_t begin(const struct listed *l)
{
    return l->several ? 0 : 1;
}

void listed_add(struct listed *l, const struct listed_service *s)
{
    l->at = xrealloc(l->at, (l->count + 1) * sizeof(*l->at));
    l->at[l->count++] = *s;
}

void listed_add_alias(struct listed *l, const struct listed_alias *a)
{
    l->aliases = xrealloc(l->aliases, (l->alias_count + 1) * sizeof(*l->aliases));
    l->aliases[l->alias_count++] = *a;
}

static void aliases_finish(struct listed *l)
{
    for (size_t i = 0; i < l->alias_count; i++) {
        struct listed_alias *a = &l->aliases[i];
        free(a->name);
        free(a->url);
        free(a->target);
        free(a->service);
        free(a->ns);
        free(a->cluster);
    }
    free(l->aliases);
}

static void service_finish(struct listed_service *s)
{
    for (size_t p = 0; p < s->port_count; p++)
        free(s->ports[p].name);
    free(s->ports);
    free(s->context);
    free(s->cluster);
    free(s->short_name);
    free(s->ns);
    free(s->name);
    free(s->local);
    free(s->full);
}

void listed_finish(struct listed *l)
{
    aliases_finish(l);
    for (size_t i = 0; i < l->count; i++)
        service_finish(&l->at[i]);
    free(l->at);
    *l = (struct listed){ 0 };
}

static int compare(const void *a, const void *b)
{
    const struct listed_service *x = a, *y = b;
    int order = x->cluster && y->cluster ? strcmp(x->cluster, y->cluster) : 0;

    if (!order)
        order = strcmp(x->ns, y->ns);
    return order ? order : strcmp(x->name, y->name);
}

/* Removes duplicates: a list that was read again from its beginning (410) has some
 * services twice. */
static void drop_repeated(struct listed *l)
{
    size_t kept = 0;

    for (size_t i = 0; i < l->count; i++) {
        if (kept && compare(&l->at[kept - 1], &l->at[i]) == 0)
            service_finish(&l->at[i]);
        else
            l->at[kept++] = l->at[i];
    }
    l->count = kept;
}

void listed_sort(struct listed *l)
{
    if (l->count > 1)
        qsort(l->at, l->count, sizeof(*l->at), compare);
    drop_repeated(l);
}

/* ---- ports ---- */

/* The first `count` ports, and "+N" for the others. */
static char *ports_text(const struct listed_service *s, size_t count, bool named,
                        bool spaced)
{
    const char *comma = spaced ? ", " : ",";
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    if (!to)
        abort(); /* out of memory */
    for (size_t i = 0; i < count; i++) {
        const struct listed_port *p = &s->ports[i];
        const char *name = named ? p->name : "";
        fprintf(to, "%s%u%s%s", i ? comma : "", p->number, name[0] ? "/" : "", name);
    }
    if (count < s->port_count)
        fprintf(to, "%s+%zu", comma, s->port_count - count);
    fclose(to);
    return text;
}

static size_t digits(size_t n)
{
    size_t count = 1;
    for (; n > 9; n /= 10)
        count++;
    return count;
}

/* How many port numbers fit, with "+N" for the others; at least one. */
static size_t count_within(const struct listed_service *s, size_t room, bool spaced)
{
    size_t comma = spaced ? 2 : 1, len = 0, count = 1;

    for (size_t i = 0; i < s->port_count && len <= room; i++) {
        size_t others = s->port_count - i - 1;
        len += (i ? comma : 0) + digits(s->ports[i].number);
        if (len + (others ? comma + 1 + digits(others) : 0) <= room)
            count = i + 1;
    }
    return count;
}

/* All ports with names, or as many numbers as fit; room 0: all. */
static char *ports_within(const struct listed_service *s, size_t room, bool spaced)
{
    AUTO_FREE char *all = ports_text(s, s->port_count, true, spaced);

    if (!room || strlen(all) <= room)
        return TAKE(all);
    return ports_text(s, count_within(s, room, spaced), false, spaced);
}

/* ---- columns ---- */

/* The cell of column c; borrowed; `ports` is the text of the ports' column. */
static const char *cell(const struct listed_service *s, size_t c, const char *ports)
{
    const char *const cells[COLUMNS] = {
        s->cluster ? s->cluster : "", s->ns, s->name, s->local, ports, s->full
    };
    return cells[c];
}

static size_t cell_width(const struct listed_service *s, size_t c, size_t room,
                         bool spaced)
{
    if (c != PORTS_COLUMN)
        return strlen(cell(s, c, ""));
    AUTO_FREE char *ports = ports_within(s, room, spaced);
    return strlen(ports);
}

static size_t column_width(const struct listed *l, size_t c, size_t room, bool spaced)
{
    size_t widest = strlen(headings[c]);

    for (size_t i = 0; i < l->count; i++) {
        size_t width = cell_width(&l->at[i], c, room, spaced);
        widest = width > widest ? width : widest;
    }
    return widest;
}

/* The width of the first `columns` without the ports. */
static size_t names_width(const struct listed *l, size_t columns)
{
    size_t width = (columns - begin(l) - 1) * TABLE_GAP;

    for (size_t c = begin(l); c < columns; c++)
        if (c != PORTS_COLUMN)
            width += column_width(l, c, 0, false);
    return width;
}

/* How many columns a line has; *ret has the width left for ports. */
static size_t choose_columns(const struct listed *l, const struct listed_width *width,
                             size_t *ret_room)
{
    size_t columns = COLUMNS, least = column_width(l, PORTS_COLUMN, 1, width->spaced);

    *ret_room = width->ports;
    if (!width->line)
        return columns;
    for (; columns > COLUMNS_LEAST; columns--) {
        size_t names = names_width(l, columns);
        *ret_room = names < width->line ? width->line - names : 0;
        if (columns > PORTS_COLUMN ? *ret_room >= least : names <= width->line)
            break;
    }
    return columns;
}

void listed_print_columns(const struct listed *l, const struct listed_width *width,
                          FILE *to)
{
    size_t room, columns = choose_columns(l, width, &room);
    struct table *t = table_create(headings + begin(l), columns - begin(l));

    for (size_t i = 0; i < l->count; i++) {
        const struct listed_service *s = &l->at[i];
        AUTO_FREE char *ports = ports_within(s, room, width->spaced);
        const char *cells[COLUMNS];
        for (size_t c = 0; c < columns; c++)
            cells[c] = cell(s, c, ports);
        table_add(t, cells + begin(l));
    }
    table_print(t, to);
    table_destroy(t);
}

void listed_print_aliases(const struct listed *l, FILE *to)
{
    static const char *const columns[] = { "ALIAS", "URL", "LEADS TO", NULL };

    if (!l->alias_count)
        return;
    struct table *t = table_create(columns, ARRAY_LEN(columns) - 1);
    for (size_t i = 0; i < l->alias_count; i++) {
        const struct listed_alias *a = &l->aliases[i];
        table_add(t, (const char *const[]){ a->name, a->url, a->target });
    }
    table_print(t, to);
    table_destroy(t);
}

/* ---- other formats ---- */

/* The URLs of its aliases. */
static json_t *aliases_json(const struct listed *l, const struct listed_service *s)
{
    json_t *urls = json_array();

    for (size_t i = 0; i < l->alias_count; i++) {
        const struct listed_alias *a = &l->aliases[i];
        bool here =
            a->cluster ? s->cluster && strcmp(a->cluster, s->cluster) == 0 : s->plain;
        if (here && a->service && strcmp(a->service, s->name) == 0 &&
            strcmp(a->ns, s->ns) == 0)
            json_array_append_new(urls, json_string(a->url));
    }
    return urls;
}

static json_t *ports_json(const struct listed_service *s)
{
    json_t *ports = json_array();

    for (size_t i = 0; i < s->port_count; i++)
        json_array_append_new(ports, json_pack("{s:s,s:i}", "name", s->ports[i].name,
                                               "port", s->ports[i].number));
    return ports;
}

static json_t *service_json(const struct listed *l, const struct listed_service *s)
{
    json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:o,s:o}", "namespace", s->ns, "name",
                          s->name, "url", s->local, "clusterURL", s->full, "ports",
                          ports_json(s), "aliases", aliases_json(l, s));

    if (s->cluster) {
        json_object_set_new(o, "context", json_string(s->context));
        json_object_set_new(o, "cluster", json_string(s->cluster));
    }
    return o;
}

void listed_print_json(const struct listed *l, FILE *to)
{
    json_t *all = json_array();

    for (size_t i = 0; i < l->count; i++)
        json_array_append_new(all, service_json(l, &l->at[i]));
    json_dumpf(all, to, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    fputc('\n', to);
    json_decref(all);
}

void listed_print_names(const struct listed *l, FILE *to)
{
    for (size_t i = 0; i < l->count; i++) {
        AUTO_FREE char *name = xstrdup(l->at[i].short_name);
        text_make_printable(name, false);
        fprintf(to, "%s\n", name);
    }
}
