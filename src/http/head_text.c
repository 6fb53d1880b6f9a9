#include "http/head_text.h"

#include "base/own.h"

#define TEXT_FIRST 1024 /* room for a head at first */
#define TEXT_STEP 1024  /* a head is copied in steps: a body may follow it */
#define TEXT_KEPT 16384 /* more is not kept for the next head */
#define FIELDS_FIRST 32
#define FIELDS_KEPT 128

static void text_grow(struct head_text *t, size_t need)
{
    if (t->room >= need)
        return;
    size_t before = t->room;
    while (t->room < need)
        t->room = t->room ? t->room * 2 : TEXT_FIRST;
    t->at = xrealloc(t->at, t->room);
    chunk_pool_hold(t->pool, t->room - before);
}

enum err head_text_take(struct head_text *t, struct bufq *in, size_t max)
{
    t->pool = in->pool;
    while (!bufq_empty(in) && t->len < max) {
        size_t n = max - t->len, end;
        n = n < TEXT_STEP ? n : TEXT_STEP;
        text_grow(t, t->len + n);
        n = bufq_copy(in, 0, t->at + t->len, n);
        if (!http1_head_end(t->at, t->len + n, &t->scanned, &end)) {
            bufq_skip(in, end - t->len);
            t->len = end;
            return OK;
        }
        bufq_skip(in, n);
        t->len += n;
    }
    return t->len >= max ? ERR_LIMIT : ERR_AGAIN;
}

void head_text_reserve(struct head_text *t, struct chunk_pool *pool, size_t n)
{
    t->pool = pool;
    text_grow(t, t->len + n);
}

void head_text_put(struct head_text *t, struct chunk_pool *pool, struct str s)
{
    t->pool = pool;
    text_grow(t, t->len + s.len);
    if (s.len)
        memcpy(t->at + t->len, s.at, s.len);
    t->len += s.len;
}

void head_text_insert(struct head_text *t, size_t at, struct str s)
{
    text_grow(t, t->len + s.len);
    memmove(t->at + at + s.len, t->at + at, t->len - at);
    memcpy(t->at + at, s.at, s.len);
    t->len += s.len;
}

void head_text_finish(struct head_text *t)
{
    if (t->room)
        chunk_pool_release(t->pool, t->room);
    free(t->at);
    *t = (struct head_text){ 0 };
}

void head_text_shrink(struct head_text *t)
{
    if (t->room > TEXT_KEPT)
        head_text_finish(t);
}

bool head_fields_grow(struct http1_head *head, size_t max)
{
    size_t room = head->room ? head->room * 2 : FIELDS_FIRST;

    if (head->room >= max)
        return false;
    head->room = room < max ? room : max;
    head->fields = xrealloc(head->fields, head->room * sizeof(*head->fields));
    return true;
}

const char *head_problem(const struct http1_head *head, enum err e)
{
    bool is_full = e == ERR_LIMIT && head->count == head->room;

    return is_full ? "it has more fields than max-head-fields" : head->problem;
}

void head_fields_finish(struct http1_head *head)
{
    free(head->fields);
    *head = (struct http1_head){ 0 };
}

void head_fields_shrink(struct http1_head *head)
{
    if (head->room > FIELDS_KEPT)
        head_fields_finish(head);
}
