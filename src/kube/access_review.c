/* kube/access_review.c - does the API server permit the user one verb on one resource? */
#include "kube/access_review.h"

#include <jansson.h>

char *access_review_body(const struct access_review *r)
{
    struct str resource, all = str_of(r->resource);
    struct str subresource = str_cut(all, '/', &resource);
    json_t *o = json_pack("{s:s, s:s, s:{s:{s:s%, s:s, s:s, s:s%, s:s%}}}", "apiVersion",
                          "authorization.k8s.io/v1", "kind", "SelfSubjectAccessReview",
                          "spec", "resourceAttributes", "namespace",
                          r->ns.len ? r->ns.at : "", r->ns.len, "verb", r->verb, "group",
                          r->group, "resource", resource.at, resource.len, "subresource",
                          subresource.len ? subresource.at : "", subresource.len);
    char *text = json_dumps(o, JSON_COMPACT);

    json_decref(o);
    return text;
}

bool access_review_read(json_t *answer, bool *ret_allowed)
{
    const json_t *allowed = json_object_get(json_object_get(answer, "status"), "allowed");

    *ret_allowed = json_is_true(allowed);
    return json_is_boolean(allowed);
}
