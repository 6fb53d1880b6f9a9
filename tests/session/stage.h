/* tests/session/stage.h - the real serve/, with the test as its clients and pods
 *
 * Streams are pairs in memory, the clock is the test's, and upstream_lease is replaced by
 * one whose results the test scripts.  Nothing sleeps, and there are no sockets.
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

/* The result of a lease.  Zeroed: OK, with a new stream. */
struct outcome {
    enum err result; /* ERR_AGAIN: pending until stage_deliver */
    bool reused;
    bool dialling;
    const char *why;
    int retry_after;
    const char *verb, *resource; /* the right that is missing */
};

/* One lease, as it was requested from upstream/. */
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
    uint64_t pair;  /* it wants the connection with this number */
    char avoid[32]; /* the pod's name; "": none */
    char route[300];
    uint16_t port;
    uint64_t wait_ms; /* until when the lease may wait for a pod */
    bool returned;
    enum release_mode release;
    enum verdict end; /* the verdict of its stream when it was returned */
    uint32_t keep_ms;
};

struct stage {
    struct sched sched;
    struct chunk_pool pool;
    struct config *config;
    struct naming naming;
    struct serve *serve;
    struct cluster cluster; /* its upstream is the stage */
    bool login;             /* the cluster requires a login */
    struct task drained;
    unsigned drained_count;
    bool any_host, raw; /* options of the exposed port */
    size_t limit;       /* of the queues of streams made from now on */

    struct outcome script[LEASES_MAX]; /* the results of lease 0, 1, ... */
    struct leased leases[LEASES_MAX];
    size_t lease_count;

    struct stream *clients[CLIENTS_MAX];
    size_t client_count;

    char *received; /* the last text from stage_received() */
};

int stage_setup(void **state);    /* *state is a struct stage */
int stage_teardown(void **state); /* asserts that every chunk was returned */
/* The serve under test.  It is created at the first client or call, with st->config as it
 * is then. */
struct serve *stage_serve(struct stage *st);

/* Run all tasks; stage_pass first advances the clock. */
void stage_run(struct stage *st);
void stage_pass(struct stage *st, uint64_t ms);
void stage_drain(struct stage *st); /* and let --drain-timeout pass */

/* Connects a client; returns the test's end. */
struct stream *stage_client(struct stage *st);
struct stream *stage_client_from(struct stage *st, const struct arrival *from);
/* ... through a listener that belongs to port 80 of the service web.shop. */
struct stream *stage_raw_client(struct stage *st);
/* Write to a stream and run all tasks. */
void stage_write(struct stage *st, struct stream *to, const char *text);
void stage_write_bytes(struct stage *st, struct stream *to, const void *bytes, size_t n);
/* All bytes received there, as text; valid until the next call.  They are removed from
 * the stream. */
const char *stage_received(struct stage *st, struct stream *at);
size_t stage_read(struct stage *st, struct stream *at, char *out, size_t room);
void hang_up(struct stage *st, struct stream *s); /* ends its output */
void drop(struct stage *st, struct stream **s);   /* reset; *s becomes NULL */

/* The pod's end of lease i; fails the test where there is none. */
struct stream *pod(struct stage *st, size_t i);
/* The stream of lease i ends, as the tunnel would report it. */
void pod_ends(struct stage *st, size_t i, enum verdict verdict, const char *why);
/* Completes a lease that was ERR_AGAIN. */
void stage_prepare(struct stage *st, size_t i,
                   const struct outcome *outcome); /* no run */
void stage_deliver(struct stage *st, size_t i, const struct outcome *outcome);

#define assert_received(st, at, text) assert_string_equal(stage_received(st, at), text)
#define assert_release(st, i, wanted)                                                    \
    do {                                                                                 \
        assert_true((st)->leases[i].returned);                                           \
        assert_int_equal((st)->leases[i].release, wanted);                               \
    } while (0)
