/* tests/session/upstream_rig.h - leases on a scripted catalog and a fake connector
 *
 * The real upstream/ and route/, on a clock that the test moves: the rig takes the place of
 * catalog.h (look-ups are answered when the test calls), and its connector opens streams in
 * memory when the test calls.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/loop.h"
#include "route/route.h"
#include "upstream/upstream.h"

/* One opened connection, and what was called on it. */
struct conn {
    struct stream stream;
    char uid[32];
    uint16_t port;
    bool lent, alone, closed, aborted;
};

struct dial {
    struct opening *opening; /* NULL: answered or cancelled */
    struct conn conn;
    bool alone, small; /* as requested */
    bool cancelled;
    bool direct; /* opened by the direct connector */
};

struct upstream_rig {
    struct loop *loop;
    struct sched *sched;
    struct upstream *upstream;
    const struct stream *not_free; /* its tunnel carries another connection */
    const struct stream *shared;   /* its tunnel may carry several connections */

    /* The catalog, which has one service. */
    enum rights rights;
    bool hold_lookups; /* look-ups are answered by rig_answer only */
    struct service *service;
    struct api_error error; /* of look-ups, while there is no service */
    /* of the watches; code OK: their first lists were received */
    struct api_error trouble;
    const char *missing_verb, *missing_resource;
    struct list_node lookups;
    size_t lookup_count, pod_lookup_count;
    size_t kept_count;     /* calls of lookup_keep */
    char missing[64];      /* the last uid that was reported missing */
    enum err owner_result; /* of the search for the owner of an address */
    const char *owner_ns;  /* its namespace; it is a service "web" or a pod "a" */
    bool owner_is_pod;
    char owner_address[48]; /* the last one that was searched for */
    uint64_t last_max_age;

    /* The connector. */
    struct connector connector;
    struct stream *(*connect)(void); /* makes its streams in place of the rig; or NULL */
    bool plain;                      /* its streams have no operations for a pool */
    struct connector direct;         /* the direct connector, after rig_begin_auto */
    struct api_error direct_failure; /* code OK: its openings succeed */
    bool one_descriptor;             /* direct_failure ends once a connection is closed */
    bool hold_direct;         /* they are answered by rig_open and rig_refuse only */
    bool opening_progresses;  /* other openings of the same pod succeed meanwhile */
    bool hold_openings;       /* answered by rig_open and rig_refuse only */
    struct api_error refusal; /* code OK: openings succeed */
    const char *only_refuses; /* a uid, or NULL: all; of both connectors */
    struct dial dials[256];
    size_t dial_count;
    const char *room;         /* the pods with a free worker slot, by letter */
    const char *large;        /* the pods that carry much */
    const char *several;      /* the pods with several tunnels */
    char prewarmed[64];       /* the last uid */
    char made_room[64];       /* the key that make_room got last */
    char retired[64];         /* the last uid */
    struct demand carried[8]; /* by the pods a to h */
    char expected[128];       /* "c:7 " */
    struct demand expected_of;
    void (*changed)(void *owner, const struct service *before,
                    const struct service *after);
    void *changed_owner;
    void (*gone)(void *owner, const char *pod_uid);
    void *gone_owner;
};
extern struct upstream_rig rig;

/* A request. */
struct borrower {
    struct route route;
    struct want want;
    struct lease lease;
    struct task wake;
    unsigned wakes;
};

int rig_begin(void **state);
int rig_begin_auto(void **state);   /* with a direct connector, as for --upstream auto */
int rig_begin_direct(void **state); /* without tunnels, as for --upstream direct */
struct upstream_settings rig_settings(void); /* those of rig_begin */
int rig_end(void **state);
void rig_run(void);
void rig_advance(uint64_t ms);

/* Endpoints are named one letter each: "abc"; an upper-case one is not ready, a digit is
 * terminating.  Pod, uid and hostname are the letter, but m and n are kube-tunnel's own
 * pod: by uid and by name.  It listens on 192.0.2.1:8080; endpoints have no address until
 * a test gives one. */
void rig_service(const char *endpoints);
void rig_large_service(size_t count); /* all ready: pod-0, pod-1, ... */
void rig_service_with_port(const char *endpoints, const struct service_port *port);
void rig_drop_ports(size_t endpoint); /* its container has none of the service's ports */
void rig_no_service(enum err e, int status, const char *why);
void rig_change(void); /* wakes all subscribers */
void rig_answer(void); /* answers all pending look-ups */
void rig_gone(const char *uid);

void rig_open(size_t dial);
void rig_open_without_run(size_t dial); /* without running the lease */
void rig_refuse(size_t dial, enum err e, const char *why);
struct conn *rig_conn(size_t dial);

/* A GET for web.shop:80 by default; change `want` before borrower_lease. */
void borrower_init(struct borrower *a, const char *host);
void borrower_lease(struct borrower *a);
void borrower_get(struct borrower *a); /* init and lease */
void borrower_return(struct borrower *a, enum release_mode release);
