/* playground/api/review.c - SelfSubjectAccessReviews */
#include "playground/api/answer.h"
#include "playground/api/object.h"
#include "playground/head.h"

#define REVIEWS "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

static struct str attribute(const json_t *attributes, const char *key)
{
    return str_of(json_string_value(json_object_get(attributes, key)));
}

static bool is_allowed(const struct cluster *c, const json_t *review)
{
    const json_t *wanted = object_at(review, "spec", "resourceAttributes", NULL);
    struct text resource = { 0 };

    text_add(&resource, attribute(wanted, "resource"));
    if (!str_empty(attribute(wanted, "subresource")))
        text_add(&resource, STR("/"));
    text_add(&resource, attribute(wanted, "subresource"));
    bool allowed = cluster_allows(
        c, attribute(wanted, "verb"), attribute(wanted, "group"), text_str(&resource),
        attribute(wanted, "namespace"), attribute(wanted, "name"));
    text_finish(&resource);
    return allowed;
}

bool respond_review(struct cluster *c, const struct call *call, struct answer *a)
{
    if (!str_eq(target_path(call->head->target), STR(REVIEWS)) ||
        !str_eq(call->head->method, STR("POST")))
        return false;

    json_t *review =
        json_loadb(call->body.at ? call->body.at : "", call->body.len, 0, NULL);
    if (!json_is_object(review)) {
        json_decref(review);
        answer_failure(
            a, 415, "UnsupportedMediaType", NULL,
            "the body of the request was in an unknown format - accepted media "
            "types include: application/json");
        return true;
    }
    json_object_set_new(review, "status",
                        json_pack("{s:b}", "allowed", is_allowed(c, review)));
    answer_json(a, 201, review);
    return true;
}
