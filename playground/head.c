#include "playground/head.h"

#include "base/own.h"

/* Empty lines before a request line are ignored (RFC 9112, section 2.2). */
static void skip_blank_lines(struct bufq *in)
{
    char two[2];
    while (bufq_copy(in, 0, two, 2) == 2 && two[0] == '\r' && two[1] == '\n')
        bufq_skip(in, 2);
}

static const char *contiguous(struct head_reader *r, struct bufq *in, size_t *ret_len)
{
    const char *at = (const char *)bufq_peek(in, ret_len);
    if (*ret_len == in->len)
        return at;
    *ret_len = in->len < REQUEST_HEAD_MAX ? in->len : REQUEST_HEAD_MAX;
    r->copy = xrealloc(r->copy, *ret_len);
    bufq_copy(in, 0, r->copy, *ret_len);
    return r->copy;
}

enum err head_read(struct head_reader *r, struct bufq *in, struct http1_head *head)
{
    size_t len;

    if (r->scanned == 0)
        skip_blank_lines(in);
    if (bufq_empty(in))
        return ERR_AGAIN;
    const char *at = contiguous(r, in, &len);
    enum err e = http1_head_end(at, len, &r->scanned, &r->length);
    if (e == ERR_AGAIN && len >= REQUEST_HEAD_MAX) {
        head->problem = "the head is too long";
        return ERR_LIMIT;
    }
    if (e)
        return e;
    if (!r->fields)
        r->fields = xmalloc(REQUEST_FIELDS_MAX * sizeof(*r->fields));
    head->fields = r->fields;
    head->room = REQUEST_FIELDS_MAX;
    return http1_request_parse(at, r->length, head);
}

struct str head_bytes(const struct head_reader *r, const struct bufq *in)
{
    size_t len;
    const char *at = (const char *)bufq_peek(in, &len);
    return (struct str){ len == in->len ? at : r->copy, r->length };
}

void head_done(struct head_reader *r, struct bufq *in)
{
    bufq_skip(in, r->length);
    free(r->copy);
    *r = (struct head_reader){ .fields = r->fields };
}

void head_finish(struct head_reader *r)
{
    free(r->copy);
    free(r->fields);
    *r = (struct head_reader){ 0 };
}

struct str target_path(struct str target)
{
    struct str path;
    str_cut(target, '?', &path);
    return path;
}

struct str target_query(struct str target, struct str key)
{
    struct str pair;
    struct str name;
    struct str query = str_cut(target, '?', &pair);

    while (!str_empty(query)) {
        query = str_cut(query, '&', &pair);
        struct str value = str_cut(pair, '=', &name);
        if (str_eq(name, key))
            return value.at ? value : STR("");
    }
    return (struct str){ NULL, 0 };
}
