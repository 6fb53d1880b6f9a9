/* serve/exchange_private.h - what the files of an exchange share
 *
 *   exchange.c       its life, its states up to the lease, pages in place of a response
 *   exchange_talk.c  the states in which request and response are joined
 */
#pragma once

#include "serve/attempts.h"
#include "serve/client_side.h"
#include "serve/exchange_result.h"
#include "serve/join.h"
#include "serve/refusal.h"
#include "serve/routing.h"
#include "serve/tracing.h"

struct observed;

enum exchange_state {
    EXCHANGE_HEAD,  /* reading the request's head */
    EXCHANGE_ZONE,  /* waiting for the cluster's domain: its name may end with that */
    EXCHANGE_LEASE, /* waiting for a stream to a pod */
    EXCHANGE_TALK,  /* both ways; the deadline is for the response's head */
    EXCHANGE_RELAY, /* switched protocols: bytes both ways, without a deadline */
    EXCHANGE_DONE,  /* over: the session goes on from here */
};

struct exchange {
    struct serve *serve;
    struct task task;
    struct timer deadline;
    enum exchange_state state;
    struct list_node member; /* of the serve's free list, while it is there */

    struct log_id id;
    uint64_t began, routed_at, answered_at; /* sched ms; 0: not yet */
    struct observed *observed;              /* owned; NULL: no copies are kept */
    struct trace trace;
    struct client_side client;
    struct routing routing;
    struct attempts attempts;
    struct join join; /* the request and the response */

    enum release_mode release; /* of the lease, at DONE */
    struct exposed *connected; /* a reference: a CONNECT was answered, the lease stays */
    struct exchange_result result;
};

/* exchange.c.  Each returns the next state. */
enum exchange_state exchange_finish(struct exchange *x, enum release_mode release);
/* The page of a refusal; the second one ends the client's connection, whatever the rest of the
 * request is. */
enum exchange_state exchange_refuse(struct exchange *x, const struct refusal *refusal);
enum exchange_state exchange_refuse_and_close(struct exchange *x,
                                              const struct refusal *refusal);
/* Another attempt, or the first one. */
enum exchange_state exchange_lease(struct exchange *x);

/* exchange_talk.c */
enum exchange_state exchange_in_talk(struct exchange *x);
enum exchange_state exchange_late_talk(struct exchange *x);
enum exchange_state exchange_in_relay(struct exchange *x);
/* The response has begun, and cannot be completed. */
enum exchange_state exchange_truncate(struct exchange *x);
