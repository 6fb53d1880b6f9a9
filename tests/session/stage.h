/* tests/session/stage.h - a serve between clients and pods that the test plays itself
 *
 * Streams are pairs in memory, the clock is the test's, and upstream_lease is replaced by
 * one that does what the test has written down.  Nothing sleeps, nothing is a socket.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cluster/cluster.h"
#include "config/config.h"
#include "route/naming.h"
#include "http/h1.h"
#include "net/stream.h"
#include "serve/serve.h"
#include "upstream/lease.h"

#define STAGE_LIMIT 65536
#define LEASES_MAX 80
#define CLIENTS_MAX 80

/* What the next lease shall be.  Zeroed: OK, with a fresh stream. */
struct outcome {
    enum err result; /* ERR_AGAIN: until stage_deliver */
    bool reused;
    bool dialling;
    const char *why;
    int retry_after;
    const char *verb, *resource; /* missing */
};

/* One lease as upstream/ saw it. */
struct leased {
    struct lease *lease; /* NULL once returned */
    struct stream *ours; /* the end the exchange has; NULL once returned */
    struct stream *pod;  /* the test's end; NULL: none */
    struct task *wake;
    struct h1_client h1; /* on `ours` */
    struct outcome outcome;
    bool raw; /* its bytes are not HTTP, or not necessarily */
    bool repeatable;
    unsigned attempt;
    char avoid[32]; /* the pod's name; "": none */
    char route[300];
    uint16_t port;
    uint64_t wait_ms; /* from then on it may be waited for a pod */
    bool returned;
    enum release_mode release;
    enum verdict end; /* of its stream, when it was returned */
    uint32_t keep_ms;
};

struct stage {
    struct sched sched;
    struct chunk_pool pool;
    struct config *config;
    struct naming naming;
    struct serve *serve;
    struct cluster cluster; /* its upstream is the stage */
    bool login;             /* a person would have to log in to it */
    struct task drained;
    unsigned drained_count;
    bool any_host, raw; /* options of the exposed port */
    size_t limit;       /* of the queues of streams made from now on */

    struct outcome script[LEASES_MAX]; /* of lease 0, 1, ... */
    struct leased leases[LEASES_MAX];
    size_t lease_count;

    struct stream *clients[CLIENTS_MAX];
    size_t client_count;

    char *heard; /* the last text from hear() */
};

int stage_setup(void **state);    /* *state is a struct stage */
int stage_teardown(void **state); /* and every chunk came back */
/* Use what was written to stage->config since: the serve is made at the first client. */
struct serve *stage_serve(struct stage *st);

/* Run all tasks; the clock moves on by that much. */
void stage_run(struct stage *st);
void stage_pass(struct stage *st, uint64_t ms);
void stage_drain(struct stage *st); /* and let its time pass */

/* A client has connected: the test's end. */
struct stream *stage_client(struct stage *st);
struct stream *stage_client_from(struct stage *st, const struct arrival *from);
/* ... through a listener that belongs to port 80 of the service web.shop. */
struct stream *stage_raw_client(struct stage *st);
/* Write it and run. */
void say(struct stage *st, struct stream *to, const char *text);
void say_bytes(struct stage *st, struct stream *to, const void *bytes, size_t n);
/* All that has come there, as text; valid until the next call. Takes it. */
const char *hear(struct stage *st, struct stream *at);
size_t hear_bytes(struct stage *st, struct stream *at, char *out, size_t room);
void hang_up(struct stage *st, struct stream *s); /* its end of output */
void drop(struct stage *st, struct stream **s);   /* reset; *s becomes NULL */

/* The pod's end of lease i; fails the test where there is none. */
struct stream *pod(struct stage *st, size_t i);
/* The stream of lease i ends, as the tunnel would report it. */
void pod_ends(struct stage *st, size_t i, enum verdict verdict, const char *why);
/* A lease that was ERR_AGAIN is answered now. */
void stage_prepare(struct stage *st, size_t i,
                   const struct outcome *outcome); /* no run */
void stage_deliver(struct stage *st, size_t i, const struct outcome *outcome);

/* One request and its answer, whole. */
#define assert_hears(st, at, text) assert_string_equal(hear(st, at), text)
#define assert_release(st, i, wanted)                                                    \
    do {                                                                                 \
        assert_true((st)->leases[i].returned);                                           \
        assert_int_equal((st)->leases[i].release, wanted);                               \
    } while (0)
