/* playground/head.h - parses the request head at the front of a queue
 *
 * Usually it lies in the queue's first chunk and is parsed in place; a head that
 * straddles chunks is copied.  The parsed views are valid until head_done.
 */
#pragma once

#include "base/bufq.h"
#include "wire/http1.h"

#define REQUEST_HEAD_MAX (64 * 1024)
#define REQUEST_FIELDS_MAX 256

struct head_reader {
    size_t scanned; /* private, like the next three */
    size_t length;
    char *copy;
    struct http1_field *fields;
};

/* OK, ERR_AGAIN (not complete), ERR_PROTO or ERR_LIMIT (head->problem has the text). */
MUST_CHECK enum err head_read(struct head_reader *r, struct bufq *in,
                              struct http1_head *head);
/* The bytes of the head just read. */
struct str head_bytes(const struct head_reader *r, const struct bufq *in);
/* Removes the head from the queue and prepares for the next one. */
void head_done(struct head_reader *r, struct bufq *in);
void head_finish(struct head_reader *r);

/* Target "/path?a=b": the path, and a raw query value (empty, at == NULL: not given). */
struct str target_path(struct str target);
struct str target_query(struct str target, struct str key);
