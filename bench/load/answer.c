/* bench/load/answer.c - reads HTTP/1.1 responses, as far as a load generator needs it */
#include "bench/load/answer.h"

#include <string.h>

#include "base/str.h"

void answer_init(struct answer *a)
{
    a->head_len = 0;
    a->in_body = false;
    a->closes = false;
    a->body = 0;
}

static enum err read_field(struct answer *a, struct str line)
{
    struct str name;
    struct str value = str_trim(str_cut(line, ':', &name));

    if (str_ieq(name, STR("content-length")))
        return str_to_uint(value, UINT64_MAX / 2, &a->left);
    if (str_ieq(name, STR("connection")))
        a->closes = str_ieq(value, STR("close"));
    return str_ieq(name, STR("transfer-encoding")) ? ERR_PROTO : OK;
}

/* "HTTP/1.1 200 OK" */
static enum err read_status(struct answer *a, struct str line)
{
    uint64_t status;

    if (!str_starts(line, STR("HTTP/1.")) || line.len < 12)
        return ERR_PROTO;
    enum err e = str_to_uint(str_first(str_skip(line, 9), 3), 999, &status);
    if (!e)
        a->status = (int)status;
    return e;
}

static enum err read_head(struct answer *a, struct str head)
{
    struct str line;
    struct str rest = str_cut(head, '\n', &line);

    a->left = 0;
    enum err e = read_status(a, str_trim_space(line));
    while (!e && !str_empty(rest)) {
        rest = str_cut(rest, '\n', &line);
        e = read_field(a, str_trim_space(line));
    }
    return e;
}

static enum err take_body(struct answer *a, size_t n)
{
    if (n > a->left)
        return ERR_PROTO;
    a->left -= n;
    a->body += n;
    return a->left ? ERR_AGAIN : OK;
}

/* What follows the head in the same bytes belongs to the body, or, after an interim
 * answer (100 Continue), to the next head. */
static enum err end_head(struct answer *a, const char *rest, size_t n)
{
    enum err e = read_head(a, (struct str){ a->head, a->head_len });
    if (e)
        return e;
    if (a->status < 200) {
        answer_init(a);
        return n ? answer_feed(a, rest, n) : ERR_AGAIN;
    }
    a->in_body = true;
    return take_body(a, n);
}

enum err answer_feed(struct answer *a, const char *bytes, size_t n)
{
    if (a->in_body)
        return take_body(a, n);

    size_t before = a->head_len;
    size_t room = sizeof(a->head) - before;
    size_t kept = n < room ? n : room;
    memcpy(a->head + before, bytes, kept);

    const char *end = memmem(a->head, before + kept, "\r\n\r\n", 4);
    if (!end) {
        a->head_len += kept;
        return kept < n ? ERR_PROTO : ERR_AGAIN;
    }
    a->head_len = (size_t)(end - a->head) + 2;
    size_t used = a->head_len + 2 - before;
    return end_head(a, bytes + used, n - used);
}
