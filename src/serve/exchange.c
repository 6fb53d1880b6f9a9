/* serve/exchange.c - one request and its response
 *
 * THEORY OF OPERATION
 *
 *      HEAD ──▶ LEASE ──▶ TALK ──▶ (RELAY) ──▶ DONE
 *        │        ▲ │       │                   ▲
 *        │        └─┼───────┘ no response: another attempt
 *        └──────────┴──────── a page of our own ┘
 *
 * In TALK the request and the response are joined (exchange_talk.c).  A response may come
 * before the request has ended; the session then drops the rest.
 */
#include "serve/exchange.h"

#include <assert.h>

#include "base/own.h"
#include "http/whole.h"
#include "http/message.h"
#include "serve/access_log.h"
#include "serve/accounting.h"
#include "serve/exchange_private.h"
#include "serve/observation.h"
#include "serve/observed.h"
#include "serve/reply.h"
#include "serve/request_want.h"
#include "serve/service_metrics.h"

LOG_MODULE(serve);

#define FREE_MAX 256
#define HEAD_SMALL 8192     /* what other servers accept, too */
#define ZONE_MS 2000        /* for the cluster's domain, while it is looked for */
#define LEASE_GRACE_MS 5000 /* upstream/ has deadlines of its own; this is if they fail */

static void report(struct exchange *x)
{
    const struct observation o = {
        .id = x->id,
        .from = x->client.from,
        .http2 = !message_is_alone(x->client.message),
        .request = &x->join.request.head,
        .target = &x->routing.target,
        .attempts = &x->attempts,
        .join = &x->join,
        .copies = x->observed,
        .at = { .began = x->began,
                .routed_at = x->routed_at,
                .answered_at = x->answered_at,
                .now = x->serve->sched->now },
    };

    const struct request_event e = observation_event(&o);

    if (x->serve->observer)
        x->serve->observer->on_request(x->serve->observer->owner, &e);
    if (x->trace.recorded && x->serve->traces)
        trace_report(&x->trace, x->serve->traces, &e, o.at.now);
}

/* Everything borrowed goes back. */
static void conclude_exchange(struct exchange *x)
{
    if (join_request(&x->join) && x->routing.target.route.name.kind != NAME_OWN)
        recent_note(&x->serve->recent, x->serve->sched->now,
                    x->join.response.status / 100 == 5);
    const struct accounting ended = {
        .id = x->id,
        .client = x->client.from->address,
        .request = join_request(&x->join),
        .http2 = !message_is_alone(x->client.message),
        .target = &x->routing.target,
        .lease = &x->attempts.lease,
        .status = x->join.response.status,
        .bytes_in = join_received(&x->join),
        .bytes_out = join_passed(&x->join),
        .ms = x->serve->sched->now - x->began,
    };

    accounting_end(&ended);
    if (x->serve->access_log)
        access_log_note(x->serve->access_log, &ended);
    if (x->serve->service_metrics)
        service_metrics_note(x->serve->service_metrics, &x->routing.target.route,
                             &x->attempts.lease, x->id.cluster,
                             x->serve->sched->now - x->began);
    if ((x->serve->observer || x->trace.recorded) && join_request(&x->join))
        report(x);
    x->trace.recorded = false;
    observed_destroy(TAKE(x->observed));
    x->join.request.observed = x->join.response.observed = NULL;
    routing_leave(&x->routing);
    join_end(&x->join);
    x->attempts.lease.keep_ms = x->join.response.keep_ms;
    if (x->join.response.binds)
        x->attempts.lease.pair = x->id.number;
    if (!x->connected)
        attempts_return(&x->attempts, x->release);
    x->result.connected = x->connected != NULL;
    x->result.unread = !x->join.request.body.done;
    x->result.paired = x->join.response.binds;
    client_side_return(&x->client);
}

enum exchange_state exchange_finish(struct exchange *x, enum release_mode release)
{
    x->release = release;
    return EXCHANGE_DONE;
}

/* The client is gone: no response is sent. */
static enum exchange_state abandon(struct exchange *x)
{
    x->result.keep = false;
    x->result.reset = true;
    return exchange_finish(x, RELEASE_ABORT);
}

/* A page in place of a response.  Only a request that was read to its end can be followed by
 * another. */
static enum exchange_state send_page(struct exchange *x, struct page *page)
{
    x->result.keep = x->result.keep && !x->serve->draining &&
                     request_discard_rest(&x->join.request, &x->client.stream->in);
    response_send_page(&x->join.response, page, x->client.message, join_request(&x->join),
                       x->result.keep);
    return exchange_finish(x, RELEASE_ABORT);
}

enum exchange_state exchange_refuse(struct exchange *x, const struct refusal *refusal)
{
    AUTO_FREE char *body = NULL;
    struct page page;

    reply_refusal(x->id, refusal, join_request(&x->join), x->attempts.lease.cluster,
                  &page, &body);
    return send_page(x, &page);
}

/* The connection cannot be used again, whatever the rest of the request is. */
enum exchange_state exchange_refuse_and_close(struct exchange *x,
                                              const struct refusal *refusal)
{
    x->result.keep = false;
    return exchange_refuse(x, refusal);
}

static enum exchange_state close_for(struct exchange *x, enum cause cause)
{
    return exchange_refuse_and_close(x, &(struct refusal){ .cause = cause });
}

static enum exchange_state send_own_page(struct exchange *x)
{
    AUTO_FREE char *body = NULL;
    struct page page;

    reply_own_page(x->serve->admin, &x->join.request.head, &x->routing.target, &page,
                   &body);
    return send_page(x, &page);
}

/* HEAD and ZONE */

enum exchange_state exchange_lease(struct exchange *x)
{
    struct want want = request_want(x->serve, &x->client, &x->join.request,
                                    &x->routing.target, x->attempts.count);

    want.pair = x->client.from->paired ? x->id.number : 0;
    want.id = x->id;
    attempts_lease(&x->attempts, x->serve, &want, &x->task);
    x->id.cluster = want.id.cluster;
    return EXCHANGE_LEASE;
}

static void keep_copies(struct exchange *x)
{
    x->observed = observed_create(x->serve->observer, x->serve->pool);
    x->join.request.observed = x->join.response.observed = x->observed;
}

static enum exchange_state route(struct exchange *x, struct task *wake)
{
    const struct routing_context context = {
        .serve = x->serve,
        .from = x->client.from,
        .request = &x->join.request.head,
        .id = x->id,
        .wake = wake,
    };
    struct refusal why;

    switch (routing_run(&x->routing, &context, &why)) {
    case ROUTED_TO_POD:
        x->routed_at = x->serve->sched->now;
        if (x->serve->observer)
            keep_copies(x);
        if (x->serve->traces)
            trace_begin(&x->trace, x->serve->traces, &x->join.request.head,
                        x->serve->config->otlp_sample);
        x->result.keep = x->result.keep && !x->routing.target.connect;
        return exchange_lease(x);
    case ROUTED_TO_OWN_PAGE:
        return send_own_page(x);
    case ROUTED_AFTER_ZONE:
        return EXCHANGE_ZONE;
    case ROUTED_TO_CLOSE:
        return exchange_refuse_and_close(x, &why);
    case ROUTED_NOWHERE:
        break;
    }
    return exchange_refuse(x, &why);
}

static enum exchange_state exchange_late_zone(struct exchange *x)
{
    routing_leave(&x->routing);
    return route(x, NULL);
}

static enum exchange_state exchange_in_zone(struct exchange *x)
{
    return routing_must_wait(x->serve) ? EXCHANGE_ZONE : exchange_late_zone(x);
}

static enum exchange_state exchange_in_head(struct exchange *x)
{
    struct request_side *request = &x->join.request;
    struct refusal why;

    enum err e = request_receive(request, x->client.message, x->serve->config);
    if (e == ERR_EOF)
        return exchange_finish(x, RELEASE_ABORT);
    if (e == ERR_AGAIN) {
        holder_head(x->client.holder, x->client.message->head_length,
                    x->client.message->head_memory);
        return EXCHANGE_HEAD;
    }
    if (e) {
        refusal_of_head(e, request->problem, &why);
        return exchange_refuse_and_close(x, &why);
    }
    x->result.keep = request->head.keep_alive && !x->client.from->surplus;
    return route(x, &x->task);
}

static enum exchange_state exchange_late_head(struct exchange *x)
{
    return close_for(x, CAUSE_HEAD_TIMEOUT);
}

/* LEASE */

static enum exchange_state refuse_lease(struct exchange *x)
{
    struct refusal why;

    refusal_of_lease(&x->attempts.lease, &x->routing.target.route, &why);
    return exchange_refuse(x, &why);
}

/* A stream of a connection that carries others, too: its bytes are relayed here. */
static enum exchange_state connect_stream(struct exchange *x)
{
    const struct http1_head head = { .status = 200 };
    const struct answer_form form = { .method = STR("CONNECT"), .keep = true };

    x->client.message->ops->send_answer(x->client.message, &head, &form);
    x->join.response.status = head.status;
    join_switch(&x->join, x->client.stream, x->attempts.lease.stream, x->serve->config,
                &x->task);
    return EXCHANGE_RELAY;
}

static void accept_connect(struct exchange *x)
{
    struct bufq *out = &x->client.stream->out;
    size_t limit = whole_begin(out);

    put_str(out, STR("HTTP/1.1 200 Connection established\r\n\r\n"));
    whole_end(out, limit);
    x->join.response.status = 200;
}

/* A ClientHello follows, of TLS that ends here. */
static enum exchange_state expect_hello(struct exchange *x)
{
    accept_connect(x);
    x->result.hello = true;
    return exchange_finish(x, RELEASE_CLOSE);
}

/* Bytes for the pod follow: the session hands them to a raw connection. */
static enum exchange_state connect_client(struct exchange *x)
{
    const struct target *target = &x->routing.target;

    if (!message_is_alone(x->client.message))
        return connect_stream(x);
    accept_connect(x);
    bool raw = x->serve->config->proxy_raw || x->attempts.lease.outside;
    x->connected = exposed_proxied(&target->route, target->host, raw);
    return EXCHANGE_DONE;
}

/* A raw connection has leased it before its bytes turned out to be HTTP. */
static bool has_adopted_without_tls(const struct exchange *x)
{
    const struct lease *l = &x->attempts.lease;

    return !l->result && l->expects_tls && !x->routing.target.connect;
}

/* May TLS follow a CONNECT, and end here?  Not inside TLS that has ended here: each level has
 * memory of its own, and a client could nest any number. */
static bool may_expect_hello(const struct exchange *x)
{
    return x->routing.target.connect && !x->client.from->tls &&
           message_is_alone(x->client.message) &&
           serve_may_end_tls(x->serve, &x->routing.target.route,
                             x->attempts.lease.result);
}

static enum exchange_state exchange_in_lease(struct exchange *x)
{
    const struct lease *l = &x->attempts.lease;

    if (l->result == ERR_AGAIN)
        return EXCHANGE_LEASE;
    if (has_adopted_without_tls(x)) {
        attempts_return(&x->attempts, RELEASE_CLOSE);
        task_wake(&x->task); /* the next result may be there already */
        return exchange_lease(x);
    }
    if (attempts_must_lease_again(&x->attempts, x->serve->sched->now))
        return exchange_lease(x);
    if (!l->result)
        return x->routing.target.connect ? connect_client(x) : EXCHANGE_TALK;
    if (may_expect_hello(x))
        return expect_hello(x);
    bool own = l->result == ERR_SELF && !x->routing.target.connect;
    return own ? send_own_page(x) : refuse_lease(x);
}

static enum exchange_state exchange_late_lease(struct exchange *x)
{
    x->attempts.lease.result = ERR_TIMEOUT;
    return refuse_lease(x);
}

static const struct {
    const char *name;
    enum exchange_state (*run)(struct exchange *x);
    enum exchange_state (*late)(struct exchange *x); /* NULL: there is no deadline */
} states[] = {
    [EXCHANGE_HEAD] = { "head", exchange_in_head, exchange_late_head },
    [EXCHANGE_ZONE] = { "zone", exchange_in_zone, exchange_late_zone },
    [EXCHANGE_LEASE] = { "lease", exchange_in_lease, exchange_late_lease },
    [EXCHANGE_TALK] = { "talk", exchange_in_talk, exchange_late_talk },
    [EXCHANGE_RELAY] = { "relay", exchange_in_relay, NULL },
    [EXCHANGE_DONE] = { "done", NULL, NULL },
};

static uint64_t exchange_deadline_ms(const struct exchange *x)
{
    const struct config *c = x->serve->config;

    switch (x->state) {
    case EXCHANGE_HEAD:
        return visitor_deadline_ms(x->client.from, c->head_timeout_ms);
    case EXCHANGE_ZONE:
        return ZONE_MS;
    case EXCHANGE_LEASE:
        return c->wait_ms + c->dial_timeout_ms + LEASE_GRACE_MS;
    case EXCHANGE_TALK:
        return c->response_timeout_ms;
    default:
        return 0;
    }
}

/* The only road from one state to another. */
static void exchange_enter(struct exchange *x, enum exchange_state next)
{
    log_debug(x->id, "exchange", LOG_S("from", states[x->state].name),
              LOG_S("to", states[next].name));
    x->state = next;
    timer_set(&x->deadline, exchange_deadline_ms(x));
    if (next == EXCHANGE_DONE)
        conclude_exchange(x);
}

/* A small head did not use up the memory. */
void exchange_refuse_for_memory(struct exchange *x)
{
    bool small = x->client.message->head_length <= HEAD_SMALL;

    assert(x->state == EXCHANGE_HEAD);
    exchange_enter(x, close_for(x, small ? CAUSE_MEMORY : CAUSE_HEAD_MEMORY));
}

/* What waits now, for time-outs and for memory. */
static void exchange_note_waiting(struct exchange *x)
{
    const struct stream *client = x->client.stream;
    bool talk = x->state == EXCHANGE_TALK;
    const struct client_wait wait = {
        .for_body = talk && join_needs_client(&x->join, client),
        .for_reading = talk && client_is_unread(client),
        .moved = join_moved(&x->join),
    };

    client_side_watch(&x->client, x->serve, &wait);
    if (x->state > EXCHANGE_HEAD)
        client_side_note_waiting(&x->client, x->attempts.lease.stream,
                                 x->join.request.retry.held.len, wait.moved);
}

static enum exchange_state refuse_half_sent(struct exchange *x)
{
    return join_awaits_response(&x->join) ? close_for(x, CAUSE_BODY_TIMEOUT)
                                          : exchange_truncate(x);
}

static void exchange_on_stall(struct timer *t)
{
    struct exchange *x = container_of(t, struct exchange, client.stall.timer);
    bool unread = client_is_unread(x->client.stream);

    if (!client_side_has_stalled(&x->client, x->id))
        return;
    if (unread)
        bufq_clear(&x->client.stream->out); /* nothing to wait for before the reset */
    exchange_enter(x, unread ? abandon(x) : refuse_half_sent(x));
}

static bool client_is_gone(struct exchange *x)
{
    if (x->client.stream->broken)
        return true;
    return x->state > EXCHANGE_HEAD && client_side_is_gone(&x->client, &x->task);
}

static void exchange_on_wake(struct task *t)
{
    struct exchange *x = container_of(t, struct exchange, task);

    while (x->state != EXCHANGE_DONE) {
        assert(x->client.stream);
        enum exchange_state next =
            client_is_gone(x) ? abandon(x) : states[x->state].run(x);
        if (next != x->state)
            exchange_enter(x, next);
        else if (!client_is_gone(x)) /* it may have been paused just now */
            break;
    }
    if (x->state != EXCHANGE_DONE)
        exchange_note_waiting(x);
}

static void exchange_on_deadline(struct timer *t)
{
    struct exchange *x = container_of(t, struct exchange, deadline);
    enum exchange_state next = states[x->state].late(x);

    if (next != x->state)
        exchange_enter(x, next);
}

static struct exchange *exchange_create(struct serve *serve)
{
    struct exchange *x = xcalloc(1, sizeof(*x));

    x->serve = serve;
    list_init(&x->member);
    task_init(&x->task, serve->sched, RANK_WORK, exchange_on_wake);
    timer_init(&x->deadline, serve->sched, exchange_on_deadline);
    timer_init(&x->client.stall.timer, serve->sched, exchange_on_stall);
    join_init(&x->join, serve->pool);
    return x;
}

static void exchange_destroy(struct exchange *x)
{
    task_cancel(&x->task);
    timer_stop(&x->deadline);
    timer_stop(&x->client.stall.timer);
    join_finish(&x->join);
    free(x);
}

/* From the free list, or a new one. */
static struct exchange *exchange_take(struct serve *serve)
{
    if (list_empty(&serve->free_exchanges))
        return exchange_create(serve);
    struct exchange *x = list_first(&serve->free_exchanges, struct exchange, member);
    list_remove(&x->member);
    serve->free_count--;
    return x;
}

struct exchange *exchange_open(struct serve *serve, const struct client_loan *client,
                               struct log_id id, struct attempts *first)
{
    struct exchange *x = exchange_take(serve);

    client_side_take(&x->client, client, &x->task);
    x->id = id;
    x->began = serve->sched->now;
    x->routed_at = x->answered_at = 0;
    join_clear(&x->join);
    x->result = (struct exchange_result){ 0 };
    x->state = EXCHANGE_HEAD;
    timer_set(&x->deadline, exchange_deadline_ms(x));
    if (first)
        attempts_adopt(&x->attempts, first, str_of(client->from->address), &x->task);
    return x;
}

bool exchange_is_over(const struct exchange *x, struct exchange_result *ret)
{
    if (x->state != EXCHANGE_DONE)
        return false;
    *ret = x->result;
    return true;
}

struct attempts *exchange_take_connected(struct exchange *x, struct exposed **ret)
{
    *ret = TAKE(x->connected);
    return &x->attempts;
}

bool exchange_reaches_closed(const struct exchange *x)
{
    bool leases = x->state == EXCHANGE_LEASE || x->state == EXCHANGE_TALK ||
                  x->state == EXCHANGE_RELAY;

    return leases &&
           attempts_reach_closed(&x->attempts, x->serve, &x->routing.target.route.name);
}

const struct endpoint *exchange_endpoint(const struct exchange *x)
{
    return x->attempts.lease.endpoint;
}

void exchange_release(struct exchange *x)
{
    struct serve *serve = x->serve;

    if (x->state != EXCHANGE_DONE) {
        abandon(x);
        exchange_enter(x, EXCHANGE_DONE);
    }
    task_cancel(&x->task);
    if (x->connected)
        attempts_return(&x->attempts, RELEASE_ABORT);
    exposed_unref(TAKE(x->connected));
    attempts_clear(&x->attempts);
    if (serve->free_count >= FREE_MAX) {
        exchange_destroy(x);
        return;
    }
    join_shrink(&x->join);
    list_prepend(&serve->free_exchanges, &x->member);
    serve->free_count++;
}

void exchange_trim(struct serve *serve)
{
    while (!list_empty(&serve->free_exchanges)) {
        struct exchange *x = list_first(&serve->free_exchanges, struct exchange, member);
        list_remove(&x->member);
        exchange_destroy(x);
    }
    serve->free_count = 0;
}
