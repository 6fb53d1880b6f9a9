/* upstream/leasing_steps.h - what the files of a lease share
 *
 *   leasing.c          look-up, choice, opening: the state machine
 *   leasing_outcome.c  how it ends: held, failed or parked
 *   leasing_shared.c   streams of HTTP/2 connections, which requests share
 *
 * A function that returns a state returns the next one.
 */
#pragma once

#include "upstream/leasing_state.h"

#define LEASING_RETRY_MS 250 /* interval of look-ups while parked */
#define LEASING_TRIES 3      /* openings that fail in a row before the lease is parked */
#define LEASING_MAX_AGE_MS 3000 /* of a look-up's result */

enum source { SOURCE_IDLE, SOURCE_TUNNEL, SOURCE_DIRECT, SOURCE_FAILED, SOURCE_SHARED };

static inline struct sched *sched_of(const struct leasing *l)
{
    return l->parts->choosing.sched;
}

static inline struct connectors *connectors_of(const struct leasing *l)
{
    return l->parts->choosing.connectors;
}

static inline const struct route *route_of(const struct leasing *l)
{
    return search_route(&l->search);
}

static inline bool is_settled(const struct leasing *l)
{
    return l->state == LEASE_HELD || l->state == LEASE_FAILED;
}

static inline struct h2_pool *h2_pool_of(const struct leasing *l)
{
    return l->parts->choosing.h2_pool;
}

/* leasing.c */
enum lease_state leasing_open_one(struct leasing *l);
enum lease_state leasing_look_again(struct leasing *l, uint64_t max_age_ms);

/* leasing_outcome.c */
void leasing_settle(struct leasing *l, enum lease_state state, enum err result);
enum lease_state leasing_fail(struct leasing *l, enum err e);
void leasing_note_error(struct leasing *l, const struct api_error *error, bool dialling);
void leasing_note_missing(struct leasing *l, const char *verb, const char *resource);
bool leasing_may_pass(const struct leasing *l, enum err e);
enum lease_state leasing_park(struct leasing *l, enum err e);
enum lease_state leasing_fail_or_park(struct leasing *l, enum err e);
enum lease_state leasing_hold_message(struct leasing *l, struct message_stream *message,
                                      const struct pooled *connection,
                                      enum source source);
enum lease_state leasing_hold(struct leasing *l, const struct pooled *connection,
                              enum source source);

/* leasing_shared.c.  Joined: another request opens the connection, or its SETTINGS are to come. */
enum lease_state leasing_share(struct leasing *l, enum speaks speaks);
enum lease_state leasing_share_opened(struct leasing *l, const struct pooled *fresh,
                                      enum source source);
enum lease_state leasing_in_joined(struct leasing *l);
void leasing_end_shared(struct leasing *l);
enum lease_state leasing_fail_without_http2(struct leasing *l);
