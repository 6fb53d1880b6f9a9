/* serve/early_refusal.c - the reply to a client that gets no exchange */
#include "serve/early_refusal.h"

#include "base/own.h"
#include "serve/error_page.h"
#include "serve/explain.h"

static void put_refusal(const struct refusal *r, struct bufq *out)
{
    AUTO_FREE char *body = NULL;
    struct explanation text;
    struct page page;

    explain(r, NULL, &text);
    error_page_write(r->cause, &text, PAGE_TEXT, &page, &body);
    page.connection = "close";
    page_write(&page, out);
}

void early_refuse_protocol(struct bufq *out)
{
    put_refusal(&(struct refusal){ .cause = CAUSE_PROTOCOL }, out);
}

void early_refuse_too_many(struct bufq *out)
{
    put_refusal(&(struct refusal){ .cause = CAUSE_CLIENTS }, out);
}

void early_refuse_user(const struct peer *peer, const char *flag, struct bufq *out)
{
    put_refusal(&(struct refusal){ .cause = CAUSE_USER, .peer = peer, .flag = flag },
                out);
}
