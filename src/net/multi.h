/* net/multi.h - libcurl's multi interface on our loop; private to net/
 *
 * One struct transfers is one multi handle: libuv watches its sockets, the run queue's
 * clock its timeout.  No other code runs inside curl: curl's callbacks and on_done only
 * record facts and wake tasks.
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
    struct timer timeout; /* when curl has to be called next */
    struct task kick;     /* woken when curl has to be called at once */
    bool all;             /* ... for each of its handles */
    bool distrust;        /* a transfer timed out: the next one wants a new connection */
    uint64_t distrusted;  /* when it timed out: no older connection is used again */
    struct reach_memory memory;
};

/* One curl handle, embedded in the struct that uses it. */
struct easy {
    CURL *curl; /* NULL: not open, or finished */
    struct transfers *transfers;
    /* Called once, at the end.  It may close the handle, but may call no code of the
     * handle's user. */
    void (*on_done)(struct easy *e, CURLcode code);
    char text[CURL_ERROR_SIZE];
    /* why a certificate was refused, as the words after "its certificate" */
    struct diag refused;
    bool of_proxy;                 /* the certificate was the proxy's */
    char *proxy;                   /* "host:port", or NULL: none */
    bool proxy_tls;                /* the proxy is connected to over TLS */
    struct tls_identity *identity; /* borrowed; NULL: no TLS */
    struct reach reach;            /* finds out which of the server's addresses answers */
    bool no_files; /* a socket could not be made because no descriptor was left */
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
/* The connection is made.  May be called more than once for one handle. */
void easy_on_connected(struct easy *e);
/* The handle's connection receives nothing any more: later transfers do not use it. */
void easy_distrust(struct easy *e);

/* A failure as our code (never ERR_EOF: an end where none may be is ERR_RESET) and a
 * sentence that names `where` ("host:port").  Before easy_close. */
enum err easy_error(const struct easy *e, CURLcode code, const char *where,
                    struct diag *why);
