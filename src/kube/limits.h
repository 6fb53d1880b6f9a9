/* kube/limits.h - limits for the memory that an API server's objects use, and for calls
 *
 * Private to kube/, but for struct api_limits.  A list that is larger, or does not end,
 * fails with ERR_LIMIT, which is reported and backed off like any other failure.
 */
#pragma once

typedef struct json_t json_t; /* of jansson.h */

#include "base/list.h"
#include "kube/api_error.h"

/* How much a list or a watch may bring, and how many calls (gets, posts and pages of lists,
 * not watches) may be made; further ones wait. */
struct api_limits {
    uint32_t objects; /* of one list or watch */
    uint64_t bytes;   /* of their JSON */
    uint32_t calls_per_second, calls_burst;
};

/* What one list, or one watch, has brought so far. */
struct list_size {
    size_t objects, pages;
    uint64_t bytes; /* of JSON */
};

/* Count an object or a page.  ERR_LIMIT: that was one too many; *why is complete. */
MUST_CHECK enum err limits_add_object(const struct api_limits *limits,
                                      struct list_size *size, size_t bytes,
                                      const char *path, struct api_error *why);
MUST_CHECK enum err limits_add_page(const struct api_limits *limits,
                                    struct list_size *size, const char *path,
                                    struct api_error *why);
/* Neither name nor anything else that is kept of this object is longer than the API server
 * allows. */
bool limits_allow_names(json_t *metadata);
/* The same for what a list has about itself: its version and its next page. */
bool limits_allow_tokens(json_t *list_metadata);

/* A token bucket for calls. */
struct call_rate {
    uint32_t per_second, burst;
    uint64_t full_at; /* ms * per_second: when the bucket would be full again */
};

void call_rate_init(struct call_rate *r, uint32_t per_second, uint32_t burst);
/* 0: a call was taken; else the ms until there may be one. */
uint64_t call_rate_take(struct call_rate *r, uint64_t now);
