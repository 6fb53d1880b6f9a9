/* serve/response_side.h - the response of an exchange, from a pod to the client
 *
 * Receives heads from the pod's message stream and sends them on the client's, without what
 * ends at this hop.  Interim responses (1xx) are passed on and the head is waited for again.
 * The body is moved from queue to queue.  Private to serve/.
 */
#pragma once

#include "config/config.h"
#include "http/body.h"
#include "http/head_text.h"
#include "http/page.h"
#include "net/stream.h"

enum response_state {
    RESPONSE_HEAD,
    RESPONSE_BODY,
    RESPONSE_DONE,
};

enum response_event {
    RESPONSE_WAIT,
    RESPONSE_COMPLETE,
    RESPONSE_NONE,      /* the stream ended before a byte of one */
    RESPONSE_BAD,       /* `problem` has the reason; nothing was sent to the client */
    RESPONSE_TRUNCATED, /* it ended in the middle */
    RESPONSE_SWITCH,    /* 101, passed on */
};

struct message_stream;
struct observed;

struct response_side {
    enum response_state state;
    struct body body;
    bool began;       /* a byte of a response has come */
    bool pod_keeps;   /* the pod's connection can be used again after it */
    uint32_t keep_ms; /* ... for this long, by its Keep-Alive; 0: not known */
    bool
        ignores_upgrade; /* `problem` is that: it is an ordinary response, and none may be sent */
    const char *problem;
    struct head_text trailers; /* of chunks that the client gets without */

    int status;      /* that the client was sent; 0: none */
    bool keep;       /* the client's connection can be used again after it */
    bool binds;      /* the pod may have authenticated the connection, not the request */
    uint64_t passed; /* bytes of bodies that the client was sent */
    struct observed *observed; /* borrowed: keeps copies; or NULL */
};

/* What a response depends on; borrowed for one call. */
struct response_context {
    const struct config *config;
    struct message_stream *pod, *client;
    const struct http1_head *request;
    bool request_sent;       /* all of it */
    bool draining;           /* the client's connection is not kept */
    bool tls;                /* TLS of the client ends here, not at the pod */
    struct http1_head *head; /* scratch: the response's, parsed */
};

void response_finish(struct response_side *r);
/* Free what is more than is worth keeping for the next response. */
void response_shrink(struct response_side *r);
/* For a response on the next lease, or to the next request. */
void response_begin(struct response_side *r);
/* Move what is there and fits; never waits. */
enum response_event response_run(struct response_side *r,
                                 const struct response_context *c);
/* Why it was truncated, where its framing shows it; else NULL. */
const char *response_body_problem(const struct response_side *r);
/* Send a page of our own in place of a response.  `request` is NULL where its head was not
 * parsed.  `keep`: another request may follow. */
void response_send_page(struct response_side *r, struct page *page,
                        struct message_stream *client, const struct http1_head *request,
                        bool keep);
