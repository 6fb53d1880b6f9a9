/* http/page.h - an answer of our own: head and body, as bytes for the client */
#pragma once

#include <stdbool.h>

#include "base/bufq.h"

struct page {
    int status;
    const char *type; /* Content-Type */
    struct str body;
    uint32_t retry_after;   /* seconds; 0: not known */
    const char *allow;      /* of a 405; or NULL */
    const char *connection; /* of that field; NULL: none */
    bool head_only;         /* the request was a HEAD */
};

/* Goes into `out` whole, whatever its limit: pages are small and end an exchange. */
void page_write(const struct page *p, struct bufq *out);
