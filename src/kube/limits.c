#include "kube/limits.h"

#include <jansson.h>

#define NAME_MAX_LEN 253
#define UID_MAX_LEN 128
#define VERSION_MAX_LEN 256
#define CONTINUE_MAX_LEN 8192
#define OBJECTS_PER_PAGE_LEAST 100 /* on average: we request 500 */
#define MS 1000u

static enum err too_much(struct api_error *why, const char *path, const char *what)
{
    *why = (struct api_error){ .code = ERR_LIMIT, .status = 200 };
    return diag_set(&why->why, ERR_LIMIT, "GET %s: %s", path, what);
}

enum err limits_add_object(const struct api_limits *limits, struct list_size *size,
                           size_t bytes, const char *path, struct api_error *why)
{
    size->bytes += bytes;
    if (++size->objects > limits->objects)
        return too_much(why, path, "more objects than max-objects allows");
    if (size->bytes > limits->bytes)
        return too_much(why, path, "more bytes than max-objects-size allows");
    return OK;
}

enum err limits_add_page(const struct api_limits *limits, struct list_size *size,
                         const char *path, struct api_error *why)
{
    if (++size->pages > limits->objects / OBJECTS_PER_PAGE_LEAST + 1)
        return too_much(why, path,
                        "the list does not end: more pages than max-objects "
                        "allows");
    return OK;
}

static bool is_short(json_t *object, const char *key, size_t max)
{
    return json_string_length(json_object_get(object, key)) <= max;
}

bool limits_allow_names(json_t *metadata)
{
    return is_short(metadata, "namespace", NAME_MAX_LEN) &&
           is_short(metadata, "name", NAME_MAX_LEN) &&
           is_short(metadata, "uid", UID_MAX_LEN) &&
           is_short(metadata, "resourceVersion", VERSION_MAX_LEN);
}

bool limits_allow_tokens(json_t *list_metadata)
{
    return is_short(list_metadata, "resourceVersion", VERSION_MAX_LEN) &&
           is_short(list_metadata, "continue", CONTINUE_MAX_LEN);
}

/* Each call moves the time at which the bucket is full again by 1 s / per_second.  Time is
 * counted in ms * per_second, so that nothing is rounded. */
void call_rate_init(struct call_rate *r, uint32_t per_second, uint32_t burst)
{
    *r = (struct call_rate){ .per_second = per_second, .burst = burst };
}

uint64_t call_rate_take(struct call_rate *r, uint64_t now)
{
    uint64_t present = now * r->per_second;
    uint64_t full_at = r->full_at > present ? r->full_at : present;
    uint64_t latest = present + (uint64_t)(r->burst - 1) * MS;

    if (full_at > latest)
        return (full_at - latest + r->per_second - 1) / r->per_second;
    r->full_at = full_at + MS;
    return 0;
}
