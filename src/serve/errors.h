/* serve/errors.h - what went wrong, in words for the client
 *
 * A refusal has the original kube-tunnel's words in its first line, because people and
 * scripts look for them; then which object and why; then what to do about it.  It comes
 * as plain text, JSON or HTML, as the client prefers.  Pure text.
 */
#pragma once

#include "net/peer.h"
#include "http/page.h"
#include "upstream/lease.h"
#include "wire/http1.h"

struct refusal {
    int status;
    uint32_t retry_after;
    char first[512]; /* one line */
    char detail[512];
    char hint[1024]; /* may have lines */
    char link[128];  /* of a page that helps; "": none */
};

/* Starts a refusal: no detail, no hint yet. */
void refusal_set(struct refusal *r, int status, const char *format, ...)
    PRINTF_LIKE(3, 4);
void refusal_detail(struct refusal *r, const char *format, ...) PRINTF_LIKE(2, 3);
void refusal_hint(struct refusal *r, const char *format, ...) PRINTF_LIKE(2, 3);

/* A lease failed: its result is neither OK nor ERR_AGAIN. */
void refusal_from_lease(const struct lease *lease, const struct route *route,
                        struct refusal *ret);
/* One of several contexts is what it is about: say so, and what kubectl needs for it. */
void refusal_add_context(struct refusal *r, const char *context);
/* The stream of a lease ended, or gave no proper answer: `status` 502 or 504. */
void refusal_from_stream(const struct lease *lease, int status, const char *reason,
                         struct refusal *ret);
/* What to say of a 401 of the API server: detail and hint. */
void refusal_unauthorized(struct refusal *r);
/* The same where there are no credentials to show it. */
void refusal_credentials(struct refusal *r);
/* The host is not one of ours. */
void refusal_invalid_host(struct str host, const char *problem, const char *zone,
                          struct refusal *ret);
/* Host has two labels, which short-names does not accept; `target` is the request's. */
void refusal_short_name(const struct name *name, const char *zone, uint16_t listener_port,
                        struct str target, struct refusal *ret);
/* The request's head could not be read: result is ERR_PROTO or ERR_LIMIT. */
void refusal_bad_head(enum err result, const char *problem, struct refusal *ret);

/* The peer's user may not connect; `flag` allows it ("--clients ..."). */
void refusal_user(const struct peer *peer, const char *flag, struct refusal *ret);
/* A person has to log in first, on our page at `url`; `why` is the plugin's. */
void refusal_login(const char *url, const struct diag *why, struct refusal *ret);
/* As many clients as there may be are connected. */
void refusal_too_many(struct refusal *ret);

/* There is no memory for the request: `status` 503, or 431 for a head that takes much of it. */
void refusal_no_memory(int status, struct refusal *ret);

enum page_format { PAGE_TEXT, PAGE_JSON, PAGE_HTML };

/* From Accept; plain text when it has no preference, or head is NULL. */
enum page_format page_format_wanted(const struct http1_head *head);

/* Type, status and body of the page; the body is *ret_text, owned by the caller. */
void refusal_page(const struct refusal *r, enum page_format format, struct page *ret,
                  char **ret_text);
