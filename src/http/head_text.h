/* http/head_text.h - the text of a head, out of a queue and into one piece
 *
 * Requests are always read like this, responses when their head comes in more than one
 * chunk.  Both structs are kept for the next head: a request costs no allocation once
 * they have grown.
 */
#pragma once

#include "base/bufq.h"
#include "wire/http1.h"

struct head_text {
    char *
        at; /* len bytes of a head; the head is complete when head_text_take returned OK */
    size_t len;
    size_t room;             /* memory that it takes, also while it is empty */
    size_t scanned;          /* private */
    struct chunk_pool *pool; /* private: which counts it */
};

/* For the next head. */
static inline void head_text_clear(struct head_text *t)
{
    t->len = t->scanned = 0;
}

/* Take the head at the start of `in`, and nothing that follows it; at most `max` bytes.
 * OK: t holds it.  ERR_AGAIN: not complete, t holds all there was.  ERR_LIMIT. */
MUST_CHECK enum err head_text_take(struct head_text *t, struct bufq *in, size_t max);

/* For text that does not come out of a queue: add to its end, or at `at` <= len.  The caller
 * bounds it. */
void head_text_put(struct head_text *t, struct chunk_pool *pool, struct str s);
/* So many bytes can be added without moving it. */
void head_text_reserve(struct head_text *t, struct chunk_pool *pool, size_t n);
void head_text_insert(struct head_text *t, size_t at, struct str s);

/* Free what is more than is worth keeping. */
void head_text_shrink(struct head_text *t);
void head_text_finish(struct head_text *t);

/* Room for twice as many fields, up to `max`; false: it has that much. */
bool head_fields_grow(struct http1_head *head, size_t max);
/* The text for the error page about a head that was not parsed. */
const char *head_problem(const struct http1_head *head, enum err e);
void head_fields_shrink(struct http1_head *head);
void head_fields_finish(struct http1_head *head);
