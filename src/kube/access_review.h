/* kube/access_review.h - does the API server permit the user one verb on one resource?
 *
 * A list of all rules of a user (SelfSubjectRulesReview) does not include what a webhook
 * decides (EKS, GKE, AKS), but a review of one verb does.
 */
#pragma once

#include "base/str.h"

typedef struct json_t json_t; /* of jansson.h */

#define ACCESS_REVIEWS "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

struct access_review {
    const char *group, *resource; /* "pods/portforward": with its subresource */
    const char *verb;
    struct str ns; /* empty: every namespace */
};

/* The body of the POST; owned by the caller. */
char *access_review_body(const struct access_review *r);
/* False: the answer has no result. */
bool access_review_read(json_t *answer, bool *ret_allowed);
