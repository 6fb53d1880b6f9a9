/* net/multi.h - libcurl's multi interface on our loop; private to net/
 *
 * One struct transfers is one multi handle: libuv watches its sockets, the run queue's
 * clock its timeout.  Nothing of ours runs inside curl: curl's callbacks and on_done note
 * facts and wake tasks.
 */
#pragma once

#include <curl/curl.h>

#include "base/list.h"
#include "net/loop.h"
#include "net/reach.h"
#include "net/transfers.h"

struct transfers {
    struct loop *loop;
    CURLM *multi;
    struct list_node sockets;
    struct timer timeout; /* curl's next */
    struct task kick;     /* curl has to be called at once */
    bool all;             /* ... and for each of its handles */
    bool distrust;        /* a transfer timed out: the next one wants a new connection */
    uint64_t distrusted;  /* when that was: no older connection is used again */
    struct reach_memory memory;
};

/* One curl handle, embedded in whatever it is for. */
struct easy {
    CURL *curl; /* NULL: not open, or done with */
    struct transfers *transfers;
    /* The end, once; may close the handle, may not call anyone's code. */
    void (*on_done)(struct easy *e, CURLcode code);
    char text[CURL_ERROR_SIZE];
    struct diag refused;           /* why a certificate was, after "its certificate" */
    bool of_proxy;                 /* that was the proxy's */
    char *proxy;                   /* "host:port", or NULL: none */
    bool proxy_tls;                /* it is spoken to over TLS */
    struct tls_identity *identity; /* borrowed; NULL: no TLS */
    struct reach reach;            /* which of the addresses answers */
    bool no_files; /* a socket could not be made for want of descriptors */
};

/* A handle with the options all of ours have in common; easy_start hands it to curl,
 * which does nothing before the next turn. */
void easy_open(struct easy *e, struct transfers *t,
               void (*on_done)(struct easy *e, CURLcode code));
void easy_start(struct easy *e);
void easy_close(struct easy *e); /* cancels; idempotent */
/* The result of proxy_choose; "" for none. */
void easy_set_proxy(struct easy *e, const char *url);
/* What curl connects to, unless there is a proxy; before easy_start, after easy_set_proxy. */
void easy_set_peer(struct easy *e, const char *host, uint16_t port);
/* It is connected.  Called more than once for one handle. */
void easy_on_connected(struct easy *e);
/* The connection under it has gone silent. */
void easy_distrust(struct easy *e);

/* A failure as our code (never ERR_EOF: an end where none may be is ERR_RESET) and a
 * sentence that names `where` ("host:port").  Before easy_close. */
enum err easy_error(const struct easy *e, CURLcode code, const char *where,
                    struct diag *why);
