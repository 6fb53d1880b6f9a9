/* control/reader_filter.h - which events a reader gets, and what each of them has
 *
 * Private to control/.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What a reader wants; the texts are owned. */
struct reader_filter {
    char *name;        /* host, service, or service.namespace; NULL: any */
    int status, class; /* 404, or 5 for 5xx; 0: any */
    uint64_t slow_ms;  /* at least so long; 0: any */
    bool queries, heads, bodies;
};
