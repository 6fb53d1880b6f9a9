/* serve/observed.c - copies of a message that passes, for an observer */
#include "serve/observed.h"

#include "base/own.h"

struct observed *observed_create(const struct observer *o, struct chunk_pool *pool)
{
    if (!o->heads && !o->bodies)
        return NULL;
    struct observed *copy = xcalloc(1, sizeof(*copy));
    copy->bodies = o->bodies;
    copy->pool = pool;
    return copy;
}

static void free_body(struct observed *o, struct body_copy *copy)
{
    if (copy->at)
        chunk_pool_release(o->pool, OBSERVED_BODY_MAX);
    free(copy->at);
}

void observed_destroy(struct observed *o)
{
    if (!o)
        return;
    free(o->head);
    free_body(o, &o->request);
    free_body(o, &o->response);
    free(o);
}

void observed_response(struct observed *o, const struct http1_head *head)
{
    size_t len = 0;

    for (size_t i = 0; i < head->count; i++)
        len += head->fields[i].name.len + head->fields[i].value.len + 4;
    if (len > OBSERVED_HEAD_MAX)
        return;
    o->response.chunked = head->framing == BODY_CHUNKED;
    o->head = xrealloc(o->head, len + 1);
    o->head_len = 0;
    for (size_t i = 0; i < head->count; i++) {
        const struct str parts[] = { head->fields[i].name, STR(": "),
                                     head->fields[i].value, STR("\r\n") };
        for (size_t j = 0; j < ARRAY_LEN(parts); j++)
            o->head_len = str_append(o->head, len, o->head_len, parts[j]);
    }
}

size_t observed_before(struct observed *o, struct body_copy *copy,
                       const struct bufq *from)
{
    if (!o || !o->bodies)
        return 0;
    if (!copy->at && (copy->cut || chunk_pool_is_tight(o->pool))) {
        copy->cut = true; /* none of it, rather than its middle */
        return 0;
    }
    if (!copy->at) {
        chunk_pool_hold(o->pool, OBSERVED_BODY_MAX);
        copy->at = xmalloc(OBSERVED_BODY_MAX);
    }
    return bufq_copy(from, 0, copy->at + copy->len, OBSERVED_BODY_MAX - copy->len);
}

void observed_moved(struct body_copy *copy, size_t before, size_t moved)
{
    if (!copy->at)
        return;
    copy->len += before < moved ? before : moved;
    copy->cut |= moved > before;
}
