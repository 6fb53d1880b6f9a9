/* serve/early_refusal.c - the reply to a client that gets no exchange */
#include "serve/early_refusal.h"

#include "base/own.h"
#include "serve/error_page.h"
#include "serve/explain.h"

/* Empty SETTINGS, then GOAWAY, stream 0, HTTP_1_1_REQUIRED (RFC 9113, section 7). */
static const uint8_t http2_goaway[] = {
    0, 0, 0, 4, 0, 0, 0, 0, 0,                            /* SETTINGS */
    0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0d, /* GOAWAY */
};

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

void early_refuse_protocol(enum detected protocol, struct bufq *out)
{
    switch (protocol) {
    case DETECT_HTTP2:
        bufq_write(out, http2_goaway, sizeof(http2_goaway));
        break;
    default:
        put_refusal(&(struct refusal){ .cause = CAUSE_PROTOCOL }, out);
    }
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
