/* playground/api/path.h - parses a request path and its query
 *
 * /api/v1/namespaces/shop/pods/web-1/portforward, /apis/GROUP/VERSION/...: cut into
 * parts. Views point into the path.
 */
#pragma once

#include "base/str.h"

struct api_path {
    struct str group, version; /* group "" for the core */
    struct str ns;             /* "": not in a namespace, or all of them */
    struct str plural;
    struct str name;        /* "": the collection */
    struct str subresource; /* "": the object itself */
};

/* ERR_NOT_FOUND: not the path of a resource. */
MUST_CHECK enum err api_path_parse(struct str path, struct api_path *ret);

/* A query value of a target, percent-decoded; owned, NULL when not given. */
char *query_value(struct str target, const char *key);
