/* playground/api/kind.h - the kinds of objects this cluster has: one table row each
 *
 * Discovery, paths, rights, lists and tables use this table; a new kind needs only a row.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/str.h"

enum kind_id {
    KIND_NAMESPACE,
    KIND_POD,
    KIND_SERVICE,
    KIND_ENDPOINTSLICE,
    KIND_ENDPOINTS,  /* the same, as before 1.21 */
    KIND_DEPLOYMENT, /* without a controller, which would create its pods */
    KIND_CONFIGMAP,
    KINDS
};

/* A column of `kubectl get`: priority 1 shows with -o wide only. */
struct column {
    const char *name, *type, *format;
    int priority;
    json_t *(*cell)(const json_t *object); /* a new reference */
};

struct kind {
    const char *group; /* "" is the core group */
    const char *version;
    const char *plural, *singular, *name, *short_name;
    bool namespaced;
    const struct column *columns; /* ends with a row without a name */
};

extern const struct kind kinds[KINDS];

/* "v1", "discovery.k8s.io/v1"; out holds at least 64 bytes. */
void kind_api_version(const struct kind *k, char *out);

/* The kind with that API version and Kind ("v1", "Pod"), or NULL. */
const struct kind *kind_by_name(const char *api_version, const char *name);
const struct kind *kind_by_plural(struct str group, struct str version,
                                  struct str plural);
enum kind_id kind_number(const struct kind *k);
