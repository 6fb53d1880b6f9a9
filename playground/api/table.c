#include "playground/api/table.h"

#include "playground/api/object.h"

static json_t *definition(const struct column *c)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:i}", "name", c->name, "type", c->type,
                     "format", c->format, "description", "", "priority", c->priority);
}

json_t *table_create(const struct kind *k, const char *revision, bool columns)
{
    json_t *definitions = columns ? json_array() : json_null();
    for (const struct column *c = k->columns; columns && c->name; c++)
        json_array_append_new(definitions, definition(c));
    return json_pack("{s:s, s:s, s:{s:s}, s:o, s:[]}", "kind", "Table", "apiVersion",
                     "meta.k8s.io/v1", "metadata", "resourceVersion", revision,
                     "columnDefinitions", definitions, "rows");
}

void table_add(json_t *table, const struct kind *k, const json_t *object)
{
    json_t *cells = json_array();
    for (const struct column *c = k->columns; c->name; c++)
        json_array_append_new(cells, c->cell(object));
    json_t *metadata = json_object_get(object, "metadata");
    json_array_append_new(json_object_get(table, "rows"),
                          json_pack("{s:o, s:{s:s, s:s, s:O}}", "cells", cells, "object",
                                    "kind", "PartialObjectMetadata", "apiVersion",
                                    "meta.k8s.io/v1", "metadata", metadata));
}

static bool contains(struct str s, struct str part)
{
    for (; s.len >= part.len; s = str_skip(s, 1))
        if (str_starts(s, part))
            return true;
    return false;
}

bool table_wanted(struct str accept)
{
    return contains(accept, STR("as=Table"));
}
