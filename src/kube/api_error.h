/* kube/api_error.h - the error of a call to the API server
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* The error of a failed call. */
struct api_error {
    enum err code;        /* ERR_UNAUTHORIZED 401, ERR_FORBIDDEN 403, ERR_NOT_FOUND 404,
                       ERR_GONE 410, ERR_THROTTLED 429, ERR_SERVER 5xx, or transport;
                       ERR_CREDENTIALS: it was not sent */
    int status;           /* HTTP status; 0: no response, or an incomplete one */
    bool is_status;       /* the body was a metav1.Status: authoritative */
    uint32_t retry_after; /* seconds */
    struct diag why;      /* the Status message, or the transport's error */
};

/* A response with an error status; the texts may be empty. */
struct api_response {
    int status;
    uint32_t retry_after;
    struct str body;
    struct str location; /* of a redirect */
};

/* Fill in from a response: used here and by tunnel/ for refused upgrades. */
void api_error_from_response(struct api_error *e, const struct api_response *answer);
