/* net/transfer.h - HTTP requests to an API server, by libcurl's multi interface
 *
 * For REST calls and watches: HTTP/2 where the server has it (all calls to one server share
 * a connection), no redirects, proxies, deadlines.  The body is a bounded queue: a reader
 * that does not take it pauses the transfer.  Tunnels do not use this (see tunnel/).
 */
#pragma once

#include <stdint.h>

#include "base/bufq.h"
#include "net/loop.h"
#include "net/transfers.h"
#include "net/tls_identity.h"

struct transfer_request {
    const char *method; /* "GET", "POST" */
    const char *url;
    const char *const *headers;    /* "Name: value", NULL at the end; may be NULL */
    const char *body;              /* may be NULL */
    struct tls_identity *identity; /* for https; a reference is held until the close */
    const char *proxy;             /* as in net/connecting.h */
    uint64_t timeout_ms;           /* for the whole exchange; 0: none (watches) */
    /* time without a received byte after which it ends; 0: none */
    uint64_t stall_ms;
    size_t body_limit; /* how many bytes `body` may hold before the transfer pauses */
};

struct transfer {
    enum err result;      /* ERR_AGAIN while running; OK: complete, whatever the status */
    int status;           /* 0 until the head has come */
    uint32_t retry_after; /* seconds, 0: not given */
    char date[32];        /* of the Date field; "": not given */
    char location[256];   /* of a redirect, cut to fit; redirects are not followed */
    struct bufq body;     /* take from it, then transfer_resume */
    struct diag why;
};

/* Owned by the caller until transfer_close, which cancels.  The task is woken on head,
 * body and end. */
struct transfer *transfer_open(struct transfers *t, const struct transfer_request *r,
                               struct task *wake);
void transfer_resume(struct transfer *x);
void transfer_close(struct transfer *x); /* NULL accepted */
