/* serve/observer.h - requests and raw connections as they end, for an observer
 *
 * There is one observer or none.  Without one a request costs one branch more.  With `heads` or
 * `bodies` the parts that a message does not keep by itself are copied while they pass.
 */
#pragma once

#include "base/log.h"
#include "route/route.h"
#include "wire/http1.h"

struct endpoint;

#define OBSERVED_HEAD_MAX 65536 /* bytes of a response's head that are kept */
#define OBSERVED_BODY_MAX 65536 /* ... of a body */

/* Where the time of a request went, in ms of the loop's clock.  They add up. */
struct request_times {
    uint64_t head;     /* from its first byte to the end of its head, and routing */
    uint64_t lookup;   /* until the service was known */
    uint64_t wait;     /* for a pod, and for attempts that failed */
    uint64_t dial;     /* opening the connection that was used */
    uint64_t pod;      /* from then to the first byte of a response */
    uint64_t transfer; /* of the rest of the response */
    uint64_t total;
};

/* Bytes of a body, chunks of HTTP/1 included if `chunked`. */
struct body_copy {
    char *at; /* OBSERVED_BODY_MAX bytes of room; NULL: nothing was kept */
    size_t len;
    bool cut, chunked;
};

/* Everything is borrowed for the call. */
struct request_event {
    struct log_id id;
    const char *client;
    uint16_t listener;
    bool loopback;                    /* of the listener */
    bool http2;                       /* the client's protocol */
    bool tls;                         /* of the client ends here */
    const struct http1_head *request; /* its text is one piece: http/message.h */
    struct str host, path;            /* as the client wrote them, the query included */
    const struct name *name;          /* of the route */
    uint16_t port;                    /* of the route; 0: the default */
    bool exposed;                     /* through an exposed port */
    const struct endpoint *endpoint;  /* NULL: none */
    uint16_t pod_port;
    struct log_id via;
    bool reused, own; /* own: the response is kube-tunnel's */
    unsigned attempts;
    int status; /* 0: the client left before a response */
    bool whole; /* all of the request's body has come; unset without a body */
    uint64_t bytes_in, bytes_out;
    struct request_times times;
    struct str response_head; /* lines of fields; empty: not kept */
    const struct body_copy *request_body, *response_body; /* NULL: not kept */
};

enum connection_end {
    END_CLOSED, /* both sides ended in order */
    END_LEFT,   /* the client ended first, or is gone */
    END_RESET,  /* the pod's side was cut */
    END_FAILED, /* there was no connection to a pod, or nothing came from it */
};

/* A raw connection; everything is borrowed for the call. */
struct connection_event {
    struct log_id id;
    const char *client;
    const struct name *name;         /* of the route */
    struct str host;                 /* as log lines have it */
    const struct endpoint *endpoint; /* NULL: none */
    uint16_t pod_port;
    struct log_id via;
    unsigned attempts;
    enum connection_end end;
    const char *reason; /* with END_RESET and END_FAILED; else NULL */
    uint64_t bytes_in, bytes_out;
    struct request_times times; /* pod: until its first byte */
};

struct observer {
    void (*on_request)(void *owner, const struct request_event *e);
    void (*on_connection)(void *owner, const struct connection_event *e);
    bool heads, bodies;
    void *owner;
};
