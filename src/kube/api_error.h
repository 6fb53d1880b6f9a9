/* kube/api_error.h - what a call to the API server failed with
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* What a failed call was about. */
struct api_error {
    enum err code;        /* ERR_UNAUTHORIZED 401, ERR_FORBIDDEN 403, ERR_NOT_FOUND 404,
                       ERR_GONE 410, ERR_THROTTLED 429, ERR_SERVER 5xx, or transport;
                       ERR_CREDENTIALS: it was not even sent */
    int status;           /* HTTP status, 0: no answer, or not all of one */
    bool is_status;       /* the body was a metav1.Status: authoritative */
    uint32_t retry_after; /* seconds */
    struct diag why;      /* the Status message, or the transport's error */
};

/* An answer that is no success; the texts may be empty. */
struct api_answer {
    int status;
    uint32_t retry_after;
    struct str body;
    struct str location; /* of a redirect */
};

/* Fill in from an answer: used here and by tunnel/ for refused upgrades. */
void api_error_from_answer(struct api_error *e, const struct api_answer *answer);
