/* serve/observed.h - copies of a message that passes, for an observer
 *
 * Private to serve/.
 */
#pragma once

#include "base/bufq.h"
#include "serve/observer.h"

struct observed {
    char *head; /* owned; lines of fields of the response */
    size_t head_len;
    bool bodies;
    struct chunk_pool *pool; /* counts the memory of bodies, for --buffer-memory */
    struct body_copy request, response;
};

/* NULL: the observer wants no copies. */
struct observed *observed_create(const struct observer *o, struct chunk_pool *pool);
void observed_destroy(struct observed *o); /* NULL accepted */
/* The fields of the response that is passed on. */
void observed_response(struct observed *o, const struct http1_head *head);

/* Bodies are not kept while memory is short.
 * A body moves out of `from`: look before, and state afterwards how much has moved.  Both
 * accept NULL. */
size_t observed_before(struct observed *o, struct body_copy *copy,
                       const struct bufq *from);
void observed_moved(struct body_copy *copy, size_t before, size_t moved);
