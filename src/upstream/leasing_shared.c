/* upstream/leasing_shared.c - leases of streams of HTTP/2 connections, which requests share */
#include "upstream/leasing_steps.h"

/* May the request be sent only where SETTINGS have come? */
static bool must_be_certain(const struct leasing *l)
{
    const struct lease *lease = l->lease;

    return l->want.certain ||
           (l->want.cautious &&
            !h2_pool_has_shown_http2(h2_pool_of(l), lease->endpoint, lease_use(lease)));
}

/* Take a stream of an open HTTP/2 connection; LEASE_OPENING: none has room. */
static enum lease_state take_shared_stream(struct leasing *l, enum source source)
{
    struct lease *lease = l->lease;
    struct pooled connection = { 0 };
    struct message_stream *m =
        h2_pool_take(h2_pool_of(l), lease->endpoint, lease_use(lease), must_be_certain(l),
                     &connection.via);

    if (!m)
        return LEASE_OPENING;
    connection.stream = m->bytes;
    lease->is_shared = true;
    return leasing_hold_message(l, m, &connection, source);
}

/* A connection is being opened, or one may be used when its SETTINGS have come. */
static bool must_join(const struct leasing *l)
{
    const struct endpoint *e = l->lease->endpoint;
    struct port_use use = lease_use(l->lease);

    return h2_pool_is_opening(h2_pool_of(l), e, use) ||
           (must_be_certain(l) && h2_pool_awaits_settings(h2_pool_of(l), e, use));
}

static enum lease_state join_opening(struct leasing *l)
{
    l->joined = true;
    h2_pool_wait(h2_pool_of(l), l->lease->endpoint, lease_use(l->lease), &l->sharing,
                 &l->step);
    return LEASE_OPENING;
}

/* Open an HTTP/2 connection, or wait for the one that another request is opening. */
static enum lease_state open_shared(struct leasing *l)
{
    struct endpoint *e = l->lease->endpoint;
    struct port_use use = lease_use(l->lease);

    if (must_join(l))
        return join_opening(l);
    l->opens_shared = true;
    h2_pool_begin_opening(h2_pool_of(l), e, use);
    l->opening.alone = true; /* it will carry many requests, for a long time */
    l->opening.small = false;
    connectors_open(connectors_of(l), e, use.port, &l->opening, &l->step);
    return LEASE_OPENING;
}

static bool must_upgrade_in_http1(const struct leasing *l)
{
    const struct lease *lease = l->lease;

    return l->want.upgrade &&
           h2_pool_lacks_connect(h2_pool_of(l), lease->endpoint, lease_use(lease));
}

/* The port may speak HTTP/1, too. */
static enum lease_state upgrade_in_http1(struct leasing *l)
{
    const struct lease *lease = l->lease;

    if (h2_pool_lacks_http1(h2_pool_of(l), lease->endpoint, lease_use(lease)))
        return leasing_fail(
            l, diag_set(&l->lease->why, ERR_VERSION,
                        "port %u of pod %s speaks HTTP/2 only, and accepts no "
                        "WebSockets in it (extended CONNECT, RFC 8441)",
                        lease->port, lease->endpoint->pod));
    return leasing_open_one(l);
}

enum lease_state leasing_fail_without_http2(struct leasing *l)
{
    const struct lease *lease = l->lease;

    return leasing_fail(l, diag_set(&l->lease->why, ERR_VERSION,
                                    "port %u of pod %s does not speak HTTP/2",
                                    lease->port, lease->endpoint->pod));
}

enum lease_state leasing_share(struct leasing *l, enum speaks speaks)
{
    if (must_upgrade_in_http1(l))
        return upgrade_in_http1(l);
    if (speaks == SPEAKS_HTTP1)
        return leasing_fail_without_http2(l);
    if (take_shared_stream(l, SOURCE_SHARED) == LEASE_HELD)
        return LEASE_HELD;
    return open_shared(l);
}

void leasing_end_shared(struct leasing *l)
{
    h2_waiter_leave(&l->sharing);
    l->joined = false;
    if (!l->opens_shared)
        return;
    l->opens_shared = false;
    h2_pool_end_opening(h2_pool_of(l), l->lease->endpoint, lease_use(l->lease));
}

enum lease_state leasing_share_opened(struct leasing *l, const struct pooled *fresh,
                                      enum source source)
{
    const struct lease *lease = l->lease;

    stream_set_patience(fresh->stream, l->parts->settings.silence_ms);
    h2_pool_add(h2_pool_of(l), lease->endpoint, lease_use(lease), fresh->stream,
                fresh->via);
    enum lease_state state = take_shared_stream(l, source);
    leasing_end_shared(l);
    return state == LEASE_OPENING ? join_opening(l) : state;
}

/* Another request has opened a connection, or has failed to: take a stream if there is room. */
enum lease_state leasing_in_joined(struct leasing *l)
{
    if (must_upgrade_in_http1(l)) {
        leasing_end_shared(l);
        return leasing_look_again(l, LEASING_MAX_AGE_MS);
    }
    if (take_shared_stream(l, SOURCE_SHARED) == LEASE_HELD) {
        leasing_end_shared(l);
        return LEASE_HELD;
    }
    if (must_join(l))
        return join_opening(l);
    leasing_end_shared(l);
    if (must_be_certain(l) && ++l->failures == LEASING_TRIES)
        return leasing_park(l,
                            diag_set(&l->lease->why, ERR_VERSION,
                                     "port %u of pod %s ended HTTP/2 connections at once",
                                     l->lease->port, l->lease->endpoint->pod));
    return leasing_look_again(l, LEASING_MAX_AGE_MS);
}
