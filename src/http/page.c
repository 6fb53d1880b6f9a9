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

size_t page_head(const struct page *p, char ret[static PAGE_HEAD_MAX])
{
    FILE *f = fmemopen(ret, PAGE_HEAD_MAX, "w");
    if (!f)
        abort();
    if (p->grpc_status) {
        fprintf(f, "HTTP/1.1 200 OK\r\n");
        put_field(f, "Content-Type", p->type);
        fprintf(f, "Grpc-Status: %d\r\nGrpc-Message: %.*s\r\n\r\n", p->grpc_status,
                STR_ARG(p->grpc_message));
        size_t grpc_len = (size_t)ftell(f);
        fclose(f);
        return grpc_len;
    }

    fprintf(f, "HTTP/1.1 %d %s\r\n", p->status, http1_reason(p->status));
    put_field(f, "Content-Type", p->type);
    fprintf(f, "Content-Length: %zu\r\n", p->body.len);
    put_field(f, "Cache-Control", "no-store");
    put_field(f, "X-Content-Type-Options", "nosniff");
    put_field(f, "Content-Security-Policy", "frame-ancestors 'none'");
    if (p->retry_after)
        fprintf(f, "Retry-After: %u\r\n", p->retry_after);
    put_field(f, "Allow", p->allow);
    put_field(f, "Proxy-Authenticate", p->challenge);
    put_field(f, "Connection", p->connection);
    fputs("\r\n", f);
    size_t len = (size_t)ftell(f);
    fclose(f);
    return len;
}

void page_write(const struct page *p, struct bufq *out)
{
    char head[PAGE_HEAD_MAX];
    size_t len = page_head(p, head);
    size_t limit = whole_begin(out);
    bufq_write(out, head, len);
    if (!p->head_only)
        bufq_write(out, p->body.at, p->body.len);
    whole_end(out, limit);
}
