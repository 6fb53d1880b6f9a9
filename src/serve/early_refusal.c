/* serve/early_refusal.c - the reply to a client that gets no exchange */
#include "serve/early_refusal.h"

#include "base/own.h"
#include "serve/errors.h"

/* A fatal alert: handshake_failure (RFC 8446, section 6). */
static const uint8_t tls_alert[] = { 0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28 };

/* Empty SETTINGS, then GOAWAY, stream 0, HTTP_1_1_REQUIRED (RFC 9113, section 7). */
static const uint8_t http2_goaway[] = {
    0, 0, 0, 4, 0, 0, 0, 0, 0,                            /* SETTINGS */
    0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0d, /* GOAWAY */
};

/* "Request rejected or failed", and "no acceptable methods" (RFC 1928, section 3). */
static const uint8_t socks4_no[] = { 0, 0x5b, 0, 0, 0, 0, 0, 0 };
static const uint8_t socks5_no[] = { 5, 0xff };

static void put_refusal(const struct refusal *why, struct bufq *out)
{
    AUTO_FREE char *text = NULL;
    struct page page;

    refusal_page(why, PAGE_TEXT, &page, &text);
    page.connection = "close";
    page_write(&page, out);
}

static void refuse_in_http(struct bufq *out)
{
    struct refusal why;

    refusal_set(&why, 400, "Bad Request: this port speaks plain HTTP");
    refusal_hint(&why, "Use http:// URLs.");
    put_refusal(&why, out);
}

void early_refuse_protocol(enum detected protocol, struct bufq *out)
{
    switch (protocol) {
    case DETECT_TLS:
        bufq_write(out, tls_alert, sizeof(tls_alert));
        break;
    case DETECT_HTTP2:
        bufq_write(out, http2_goaway, sizeof(http2_goaway));
        break;
    case DETECT_SOCKS4:
        bufq_write(out, socks4_no, sizeof(socks4_no));
        break;
    case DETECT_SOCKS5:
        bufq_write(out, socks5_no, sizeof(socks5_no));
        break;
    default:
        refuse_in_http(out);
    }
}

void early_refuse_too_many(struct bufq *out)
{
    struct refusal why;

    refusal_too_many(&why);
    put_refusal(&why, out);
}

void early_refuse_user(const struct peer *peer, const char *flag, struct bufq *out)
{
    struct refusal why;

    refusal_user(peer, flag, &why);
    put_refusal(&why, out);
}
