/* bench/load/plan.h - the settings of a run, and its results */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "bench/load/samples.h"

/* Sent before the head, and what has to come back. */
struct step {
    char *send, *expect;
    size_t send_len, expect_len;
};

#define STEPS_MAX 2

struct plan {
    struct sockaddr_storage address;
    socklen_t address_len;
    char *head; /* of every request */
    size_t head_len;
    uint64_t upload; /* bytes of body that follow it */
    size_t connections;
    bool fresh;           /* each request on a connection of its own, as curl would */
    bool raw;             /* no HTTP: the head is what must come back, byte for byte */
    const char *tls_name; /* TLS with this server name; NULL: without */
    const char *grpc_host, *grpc_path; /* unary calls instead, in HTTP/2; NULL: none */
    struct step steps[STEPS_MAX];      /* of a raw connection through a proxy */
    size_t step_count;
    double rate;          /* requests per second of all together; 0: as fast as they go */
    uint64_t settle_ns;   /* not counted, at the beginning */
    uint64_t duration_ns; /* counted; the limit of a run that `requests` ends */
    uint64_t requests;    /* 0: the time ends it */
    uint64_t patience_ns; /* for one request */
};

/* clang-format off */
#define FAILURES(X) \
    X(CONNECT,   connect)   /* refused, unreachable, out of ports             */ \
    X(RESET,     reset)     /* RST, or an error on the socket                 */ \
    X(CUT,       cut)       /* closed before the answer was complete          */ \
    X(STATUS,    status)    /* complete, but not a 200                        */ \
    X(MALFORMED, malformed) /* not an HTTP answer, or bytes that are not ours */ \
    X(EARLY,     early)     /* answered before the request was sent           */ \
    X(LATE,      late)      /* no complete answer within the patience         */
/* clang-format on */

enum failure {
#define X(NAME, name) FAIL_##NAME,
    FAILURES(X)
#undef X
        FAILURE_KINDS
};

struct tally {
    uint64_t requests;            /* complete, with a 200 */
    uint64_t body_in, body_out;   /* of those */
    uint64_t moved_in, moved_out; /* bytes of heads and bodies, complete or not */
    uint64_t failures[FAILURE_KINDS];
    struct samples latencies;
};

/* A raw connection asks for this target first, by SOCKS 5 or CONNECT.  False: `proxy` is
 * neither, or the target is no HOST:PORT. */
bool plan_proxy(struct plan *p, const char *proxy, const char *target);

/* The head of a request: a GET, or a POST when there is something to upload.  `header` is
 * one more line, or NULL.  Owned by the caller. */
char *plan_request(const char *host, const char *path, const char *header,
                   uint64_t upload);
