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
    const char *challenge;  /* Proxy-Authenticate of a 407; or NULL */
    const char *connection; /* of that field; NULL: none */
    bool head_only;         /* the request was a HEAD */
    int grpc_status;        /* not 0: a gRPC error in place of all but the type */
    struct str grpc_message;
};

#define PAGE_HEAD_MAX 2048
#define PAGE_FIELDS_MAX 12
/* Its head in HTTP/1, blank line included; returns its length. */
size_t page_head(const struct page *p, char ret[static PAGE_HEAD_MAX]);

/* Goes into `out` whole, whatever its limit: pages are small and end an exchange. */
void page_write(const struct page *p, struct bufq *out);
