/* http/page.c - an answer of our own: head and body, as bytes for the client */
#include "http/page.h"

#include <stdio.h>

#include "base/own.h"
#include "http/whole.h"
#include "wire/http1.h"

static void put_field(FILE *head, const char *name, const char *value)
{
    if (value)
        fprintf(head, "%s: %s\r\n", name, value);
}

void page_write(const struct page *p, struct bufq *out)
{
    char head[1024];
    FILE *f = fmemopen(head, sizeof(head), "w");
    if (!f)
        abort();

    fprintf(f, "HTTP/1.1 %d %s\r\n", p->status, http1_reason(p->status));
    put_field(f, "Content-Type", p->type);
    fprintf(f, "Content-Length: %zu\r\n", p->body.len);
    put_field(f, "Cache-Control", "no-store");
    put_field(f, "X-Content-Type-Options", "nosniff");
    put_field(f, "Content-Security-Policy", "frame-ancestors 'none'");
    if (p->retry_after)
        fprintf(f, "Retry-After: %u\r\n", p->retry_after);
    put_field(f, "Allow", p->allow);
    put_field(f, "Connection", p->connection);
    fputs("\r\n", f);
    size_t len = (size_t)ftell(f);
    fclose(f);

    size_t limit = whole_begin(out);
    bufq_write(out, head, len);
    if (!p->head_only)
        bufq_write(out, p->body.at, p->body.len);
    whole_end(out, limit);
}
