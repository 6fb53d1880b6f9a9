/* serve/exchange.c - one request and its answer
 *
 * THEORY OF OPERATION
 *
 *      HEAD ──▶ LEASE ──▶ TALK ──▶ (RELAY) ──▶ DONE
 *        │        ▲ │       │                   ▲
 *        │        └─┼───────┘ nothing came back: another try
 *        └──────────┴──────── a page of our own ┘
 *
 * In TALK two halves run at each wake-up: sending (serve/sending.c) moves the request on,
 * answering (serve/answering.c) moves the answer back.  Neither waits for the other, so
 * an answer that comes before the request has ended is just that; what is left of the
 * request is then the session's to drop.  This file decides what the halves' results
 * mean:
 *
 *   - the release mode of the lease: the pod's connection serves on only when both messages are
 *     complete and nothing is left in either direction;
 *   - whether the client's connection is kept (`keep`), closed after the answer, or
 *     `cut`, because closing it would make an answer look complete that is not;
 *   - another try: while no byte of an answer has come and all that was read of the
 *     request is held, a request that was never delivered, or that may be delivered
 *     twice, is sent again on another lease.
 *
 * An exchange borrows its client's stream, owns its lease, and comes from a spare list: a
 * request costs no allocation once there are enough.
 */
#include "serve/exchange.h"

#include <assert.h>

#include "admin/admin.h"
#include "base/log.h"
#include "base/own.h"
#include "base/partition.h"
#include "cluster/cluster.h"
#include "serve/error_page.h"
#include "serve/explain.h"
#include "serve/login.h"
#include "serve/policy.h"
#include "serve/session.h"

LOG_MODULE(serve);

#define SPARES_MAX 64
#define HEAD_SMALL 8192     /* what other servers accept, too */
#define ZONE_MS 2000        /* for the cluster's domain, while it is looked for */
#define LEASE_GRACE_MS 5000 /* upstream/ gives up by itself; this is if it does not */

static uint64_t head_ms(const struct config *c)
{
    return c->head_timeout_ms;
}

static uint64_t lease_ms(const struct config *c)
{
    return c->wait_ms + c->dial_timeout_ms + LEASE_GRACE_MS;
}

static uint64_t zone_ms(const struct config *c)
{
    (void)c;
    return ZONE_MS;
}

static uint64_t talk_ms(const struct config *c)
{
    return c->response_timeout_ms;
}

static uint64_t no_ms(const struct config *c)
{
    (void)c;
    return 0;
}

/* State, deadline, and what to do when it passes. */
#define STATES(X) /* clang-format off */ \
    X(HEAD,  head,  head_ms,  late_head)  /* reading the request's head            */ \
    X(ZONE,  zone,  zone_ms,  late_zone)  /* its name may be one of the cluster    */ \
    X(LEASE, lease, lease_ms, late_lease) /* waiting for a stream to a pod         */ \
    X(TALK,  talk,  talk_ms,  late_talk)  /* both ways; the clock waits for a head */ \
    X(RELAY, relay, no_ms,    never)      /* both ways, and nobody looks           */ \
    X(DONE,  done,  no_ms,    never)      /* the session takes it from here        */
/* clang-format on */

#define X(NAME, name, ms, late) static enum exchange_state in_##name(struct exchange *x);
STATES(X)
#undef X
static enum exchange_state late_head(struct exchange *x);
static enum exchange_state late_zone(struct exchange *x);
static enum exchange_state late_lease(struct exchange *x);
static enum exchange_state late_talk(struct exchange *x);
static enum exchange_state never(struct exchange *x);

static const struct {
    const char *name;
    enum exchange_state (*run)(struct exchange *x);
    uint64_t (*deadline_ms)(const struct config *c);
    enum exchange_state (*late)(struct exchange *x);
} states[] = {
#define X(NAME, name, ms, late) [EXCHANGE_##NAME] = { #name, in_##name, ms, late },
    STATES(X)
#undef X
};

/* Everything borrowed goes back, and the owner is told. */
static void conclude(struct exchange *x)
{
    x->bytes_in += x->relay.up; /* however it ended */
    x->bytes_out += x->relay.down;
    exchange_account(x);
    naming_leave(&x->zone);
    relay_finish(&x->relay);
    x->relay = (struct relay){ 0 };
    stall_watch(&x->stall, false, 0, 0);
    peer_watch_stop(&x->peer);
    x->lease.keep_ms = x->answering.keep_ms;
    if (x->paired)
        x->lease.pair = x->id.number;
    serve_return(&x->lease, x->adopted ? RELEASE_CLOSE : x->release);
    x->adopted = false;
    x->client->wake = x->owner;
    x->client->paused = false;
    stream_update(x->client);
    x->client = NULL;
    task_wake(x->owner);
}

/* The only road from one state to another. */
static void enter(struct exchange *x, enum exchange_state next)
{
    log_debug(x->id, "exchange", LOG_S("from", states[x->state].name),
              LOG_S("to", states[next].name));
    x->state = next;
    timer_set(&x->deadline, states[next].deadline_ms(x->serve->config));
    if (next == EXCHANGE_DONE)
        conclude(x);
}

static enum exchange_state finish(struct exchange *x, enum release_mode release)
{
    x->release = release;
    return EXCHANGE_DONE;
}

/* Pages of our own. */

/* Only a request that was read to its end can be followed by another. */
static bool rest_is_read(struct exchange *x)
{
    struct body *body = &x->sending.body;

    return x->known && body_discard(body, &x->client->in) == OK && body->done;
}

static enum exchange_state tell(struct exchange *x, struct page *page)
{
    bool old = x->known && x->request.minor == 0;

    x->keep = x->keep && !x->serve->draining && rest_is_read(x);
    page->connection = !x->keep ? "close" : old ? "keep-alive" : NULL;
    page->head_only = x->known && str_eq(x->request.method, STR("HEAD"));
    page_write(page, &x->client->out);
    stream_update(x->client);
    x->status = page->status;
    x->bytes_out += page->head_only ? 0 : page->body.len;
    return finish(x, RELEASE_ABORT);
}

static const char *context_shown(const struct exchange *x)
{
    const struct cluster *cluster = x->lease.cluster;

    return cluster && partition_name(cluster->number) ? cluster->name : NULL;
}

static enum exchange_state refuse(struct exchange *x, const struct refusal *refusal)
{
    int status = cause_status(refusal->cause);
    AUTO_FREE char *body = NULL;
    struct explanation text;
    struct page page;

    explain(refusal, context_shown(x), &text);
    if (status >= 500)
        log_warn(x->id, "request failed", LOG_I("status", status),
                 LOG_S("cause", cause_label(refusal->cause)),
                 LOG_S("reason", text.first));
    else
        log_debug(x->id, "refused", LOG_I("status", status),
                  LOG_S("cause", cause_label(refusal->cause)),
                  LOG_S("reason", text.first));
    error_page_write(refusal->cause, &text,
                     page_format_wanted(x->known ? &x->request : NULL), &page, &body);
    return tell(x, &page);
}

/* The connection cannot be used again, whatever the rest of the request says. */
static enum exchange_state refuse_and_close(struct exchange *x,
                                            const struct refusal *refusal)
{
    x->keep = false;
    return refuse(x, refusal);
}

static enum exchange_state close_for(struct exchange *x, enum cause cause)
{
    return refuse_and_close(x, &(struct refusal){ .cause = cause });
}

static enum exchange_state own_page(struct exchange *x)
{
    const struct http1_head *head = &x->request;
    const struct admin_request request = {
        .method = head->method,
        .path = without_query(x->target.path),
        .authority = head->host ? head->host->value : STR(""),
    };
    struct admin_page answer;

    admin_answer(x->serve->admin, &request, &answer);
    AUTO_FREE char *text = answer.text;
    struct page page = {
        .status = answer.status,
        .type = answer.type,
        .allow = answer.allow,
        .body = str_of(text),
    };
    return tell(x, &page);
}

/* HEAD: the request's head, copied together and understood. */

static uint64_t rest_of(uint64_t ms, uint64_t spent_ms)
{
    return ms > spent_ms ? ms - spent_ms : 0;
}

/* It may share a tunnel with others, and need not wait for a dial. */
static bool is_small(const struct config *c, const struct http1_head *head)
{
    bool fits = head->framing == BODY_NONE ||
                (head->framing == BODY_LENGTH && head->length <= c->small_request);
    return c->small_request && fits && !head->upgrade;
}

static void lease(struct exchange *x)
{
    const struct config *c = x->serve->config;
    const struct rules rules = serve_rules(x->serve);
    const struct http1_head *head = &x->request;
    bool will_fit = head->framing == BODY_NONE ||
                    (head->framing == BODY_LENGTH && head->length <= c->replay_buffer);
    struct want want = {
        .route = &x->target.route,
        .client = str_of(x->from->address),
        .proto = PROTO_HTTP1,
        /* The last try gets a fresh connection. */
        .repeatable = http1_idempotent(head->method) && x->sending.holding && will_fit &&
                      x->attempts + 1 < DELIVERIES_MAX,
        .alone = !will_fit || head->upgrade,
        .small = is_small(c, head),
        .same_ns = policy_stays_in_namespace(&rules, head, &x->target),
        .avoid = x->avoid,
        .pair = x->from->paired ? x->id.number : 0,
        .attempt = x->attempts,
        .wait_until = x->serve->sched->now + rest_of(c->wait_ms, x->waited_ms),
        .id = x->id,
    };

    answering_begin(x);
    if (x->adopted) {
        x->adopted = false;
        return;
    }
    x->leased_at = x->serve->sched->now;
    x->attempts++;
    serve_lease(x->serve, &want, &x->lease, &x->task);
    x->id.cluster = want.id.cluster;
}

static enum exchange_state turn_away(struct exchange *x)
{
    pressure_note(&x->serve->pressure, EVENT_CLIENT);
    return close_for(x, CAUSE_CLIENTS);
}

/* A small one is not to blame. */
void exchange_refuse_for_memory(struct exchange *x)
{
    assert(x->state == EXCHANGE_HEAD);
    enter(x, close_for(x, x->text.len > HEAD_SMALL ? CAUSE_HEAD_MEMORY : CAUSE_MEMORY));
}

/* A full name, were its end the cluster's domain, which is not known yet. */
static bool must_wait_for_zone(const struct exchange *x, enum err e)
{
    return e == ERR_PROTO && !x->from->exposed && x->state == EXCHANGE_HEAD &&
           naming_may_be_found(x->serve->naming, x->target.host);
}

static enum exchange_state judge(struct exchange *x)
{
    const struct rules rules = serve_rules(x->serve);
    struct refusal why;

    enum err e =
        x->from->exposed
            ? target_exposed(&x->request, x->from->exposed, &x->target, &why)
            : target_read(&x->request, &rules, x->from->listener_port, &x->target, &why);
    if (must_wait_for_zone(x, e)) {
        naming_wait(x->serve->naming, &x->zone, &x->task);
        return EXCHANGE_ZONE;
    }
    if (!e)
        e = policy_check(&rules, &x->request, &x->target, &why);
    if (log_enabled(log_module, LEVEL_DEBUG))
        exchange_log_incoming(x);
    if (e && str_eq(x->request.method, STR("CONNECT")))
        return refuse_and_close(x, &why); /* what follows is no request */
    if (e)
        return refuse(x, &why);
    if (x->target.route.name.kind == NAME_OWN)
        return own_page(x);
    if (login_is_needed(x, &why))
        return refuse(x, &why);
    if (x->from->surplus)
        return turn_away(x);
    if (pressure_refuses(&x->serve->pressure))
        return close_for(x, CAUSE_MEMORY);
    lease(x);
    return EXCHANGE_LEASE;
}

static enum exchange_state begin(struct exchange *x)
{
    x->keep = x->request.keep_alive && !x->from->surplus;
    sending_begin(x);
    return judge(x);
}

static enum exchange_state in_zone(struct exchange *x)
{
    if (x->client->broken)
        return finish(x, RELEASE_ABORT);
    if (x->serve->naming->looking)
        return EXCHANGE_ZONE;
    naming_leave(&x->zone);
    return judge(x);
}

static enum exchange_state late_zone(struct exchange *x)
{
    naming_leave(&x->zone);
    return judge(x);
}

static enum exchange_state refuse_head(struct exchange *x, enum err e,
                                       const char *problem)
{
    struct refusal why;

    refusal_of_head(e, problem, &why);
    return refuse_and_close(x, &why);
}

static enum err parse_head(struct exchange *x)
{
    enum err e;

    do
        e = http1_request_parse(x->text.at, x->text.len, &x->request);
    while (e == ERR_LIMIT && x->request.count == x->request.room &&
           head_fields_grow(&x->request, x->serve->config->max_head_fields));
    return e;
}

static enum exchange_state in_head(struct exchange *x)
{
    if (x->client->broken)
        return finish(x, RELEASE_ABORT);
    enum err e =
        head_text_take(&x->text, &x->client->in, x->serve->config->max_head_size);
    if (e == ERR_AGAIN && !x->client->in_eof)
        holder_head(x->holder, x->text.len, x->text.room);
    if (e == ERR_AGAIN)
        return x->client->in_eof ? finish(x, RELEASE_ABORT) : EXCHANGE_HEAD;
    if (e)
        return refuse_head(x, e, "the head is larger than max-head-size");
    e = parse_head(x);
    if (e)
        return refuse_head(x, e, head_problem(&x->request, e));
    x->known = true;
    return begin(x);
}

static enum exchange_state late_head(struct exchange *x)
{
    return close_for(x, CAUSE_HEAD_TIMEOUT);
}

/* LEASE */

/* The client is gone: nobody is left to tell. */
static enum exchange_state give_up(struct exchange *x)
{
    x->keep = false;
    x->cut = true;
    return finish(x, RELEASE_ABORT);
}

static enum exchange_state lease_again(struct exchange *x)
{
    serve_return(&x->lease, RELEASE_ABORT);
    x->attempts--;
    lease(x);
    return EXCHANGE_LEASE;
}

static enum exchange_state in_lease(struct exchange *x)
{
    struct refusal why;

    if (x->client->broken)
        return give_up(x);
    if (x->lease.result == ERR_AGAIN)
        return EXCHANGE_LEASE;
    x->waited_ms += x->serve->sched->now - x->leased_at;
    if (!x->lease.result)
        return EXCHANGE_TALK;
    if (serve_was_replaced(&x->lease))
        return lease_again(x);
    if (x->lease.result == ERR_OURSELVES)
        return own_page(x);
    refusal_of_lease(&x->lease, &x->target.route, &why);
    return refuse(x, &why);
}

static enum exchange_state late_lease(struct exchange *x)
{
    struct refusal why;

    x->lease.result = ERR_TIMEOUT;
    refusal_of_lease(&x->lease, &x->target.route, &why);
    return refuse(x, &why);
}

/* TALK */

/* The pod's connection can serve on: nothing is left over in either direction. */
static enum release_mode release_of_complete(const struct exchange *x)
{
    const struct stream *pod = x->lease.stream;
    bool keep = x->answering.pod_keeps && sending_flushed(x) && bufq_empty(&pod->in) &&
                pod->end.verdict == V_OPEN;

    return keep ? RELEASE_KEEP : RELEASE_CLOSE;
}

static enum exchange_state complete(struct exchange *x)
{
    x->keep = x->keep && x->sending.state == SENDING_DONE;
    return finish(x, release_of_complete(x));
}

/* A length or chunks tell the client by themselves that something is missing; a body that
 * ends with the connection does not. */
static enum exchange_state cut(struct exchange *x)
{
    enum http1_framing framing = x->answering.body.framing;

    log_warn(x->id, "the response was truncated", LOG_I("status", x->status),
             LOG_S("reason", x->answering.body.chunked.problem
                                 ? x->answering.body.chunked.problem
                                 : diag_text(&x->lease.stream->end.why, ERR_RESET)));
    x->keep = false;
    x->cut = framing == BODY_TO_EOF || x->answering.decode;
    return finish(x, RELEASE_ABORT);
}

/* A connection that had served others may just have been closed: no word against the pod.
 */
static void avoid_failed(struct exchange *x)
{
    if (x->lease.reused || !x->lease.endpoint)
        return;
    endpoint_unref(x->avoid);
    x->avoid = endpoint_ref(x->lease.endpoint);
}

static enum exchange_state no_answer(struct exchange *x)
{
    struct refusal why;

    x->lease.unanswered = true;
    x->deliveries += repeat_after_delivery(x);
    if (!repeat_is_allowed(x)) {
        refusal_of_stream(&x->lease, CAUSE_POD_NO_RESPONSE,
                          failure_reason(x->lease.stream), &why);
        return refuse(x, &why);
    }
    log_info(x->id, "retrying request", LOG_U("attempt", x->attempts + 1),
             LOG_S("failed", x->lease.endpoint ? x->lease.endpoint->pod : ""),
             LOG_S("reason", failure_reason(x->lease.stream)));
    exchange_count_retry(x);
    avoid_failed(x);
    serve_return(&x->lease, RELEASE_ABORT);
    sending_again(x);
    lease(x);
    return EXCHANGE_LEASE;
}

static enum exchange_state bad_answer(struct exchange *x)
{
    struct refusal why;

    refusal_of_stream(&x->lease, CAUSE_POD_NOT_HTTP1, x->answering.problem, &why);
    return refuse(x, &why);
}

/* The body of the request is broken.  Once an answer has begun there is no page. */
static enum exchange_state bad_body(struct exchange *x, enum err e)
{
    const char *problem = x->sending.body.chunked.problem;

    if (x->answering.state != ANSWERING_HEAD)
        return cut(x);
    if (e == ERR_EOF || !problem)
        problem = "the body ended too early";
    x->sending.body.done = false;
    return refuse_and_close(
        x, &(struct refusal){ .cause = CAUSE_BODY_MALFORMED, .problem = problem });
}

static enum exchange_state begin_relay(struct exchange *x)
{
    log_debug(x->id, "switched protocols");
    x->keep = false;
    relay_start(&x->relay, x->client, x->lease.stream, x->serve->config->half_close,
                &x->task);
    return EXCHANGE_RELAY;
}

/* A pod is given its time from the last byte it was sent. */
static void keep_clock(struct exchange *x, uint64_t sent_before)
{
    if (x->answering.state != ANSWERING_HEAD)
        timer_set(&x->deadline, 0);
    else if (x->bytes_in != sent_before)
        timer_set(&x->deadline, talk_ms(x->serve->config));
}

/* A connection that ended while nobody used it, or said something then: whatever it said
 * is no answer to this request. */
static bool never_asked(const struct exchange *x)
{
    const struct stream *pod = x->lease.stream;

    return x->sending.state == SENDING_HEAD &&
           (pod->end.verdict != V_OPEN || !bufq_empty(&pod->in));
}

static enum exchange_state in_talk(struct exchange *x)
{
    uint64_t sent_before = x->bytes_in;

    if (x->client->broken)
        return give_up(x);
    if (never_asked(x))
        return no_answer(x);
    enum err e = sending_run(x);
    switch (answering_run(x)) {
    case ANSWER_WAIT:
        break;
    case ANSWER_COMPLETE:
        return complete(x);
    case ANSWER_NONE:
        return no_answer(x);
    case ANSWER_BAD:
        return bad_answer(x);
    case ANSWER_CUT:
        return cut(x);
    case ANSWER_SWITCH:
        return begin_relay(x);
    }
    if (e)
        return bad_body(x, e);
    keep_clock(x, sent_before);
    return EXCHANGE_TALK;
}

static enum exchange_state late_talk(struct exchange *x)
{
    struct refusal why;

    refusal_of_stream(&x->lease, CAUSE_POD_TIMEOUT,
                      "no response within --response-timeout", &why);
    return refuse(x, &why);
}

/* RELAY */

static enum exchange_state in_relay(struct exchange *x)
{
    relay_run(&x->relay);
    if (!relay_done(&x->relay))
        return EXCHANGE_RELAY;
    x->cut = !relay_clean(&x->relay);
    return finish(x, x->cut ? RELEASE_ABORT : RELEASE_CLOSE);
}

static enum exchange_state in_done(struct exchange *x)
{
    (void)x;
    return EXCHANGE_DONE;
}

static enum exchange_state never(struct exchange *x)
{
    return x->state;
}

/* The engine. */

/* A client that will send no more may still wait for its answer, or be gone; and one that
 * is not read from, because the pod does not read, could go without anybody seeing it. */
static bool is_abandoned(struct exchange *x)
{
    bool silent = x->client->in_eof || x->client->paused || bufq_full(&x->client->in);

    if (!silent || x->state == EXCHANGE_HEAD)
        return x->peer.gone;
    peer_watch_start(&x->peer, x->client, &x->task);
    return x->peer.gone;
}

static bool is_unread(const struct exchange *x)
{
    return x->client->stuck && !bufq_empty(&x->client->out);
}

/* The rest of the body is due, and there is room for it.  (A client that asked for a
 * 100-continue may be waiting for the pod.) */
static bool is_half_sent(const struct exchange *x)
{
    bool is_permitted = x->bytes_in || x->answering.began || !x->request.expect_continue;

    return x->sending.state == SENDING_BODY && is_permitted && !x->client->paused &&
           bufq_empty(&x->client->in);
}

/* Time runs while only the client can go on, and nothing moves in either direction. */
static void watch_client(struct exchange *x)
{
    bool talk = x->state == EXCHANGE_TALK, unread = talk && is_unread(x);
    bool waiting = unread || (talk && is_half_sent(x));
    uint64_t moved = x->bytes_in + x->bytes_out - x->client->out.len;

    if (waiting || x->stall.waiting)
        stall_watch(&x->stall, waiting, moved * 2 + unread,
                    unread ? stall_send_ms(x->serve, x->from)
                           : stall_body_ms(x->serve, x->from));
}

static enum exchange_state refuse_half_sent(struct exchange *x)
{
    return x->answering.state == ANSWERING_HEAD ? close_for(x, CAUSE_BODY_TIMEOUT)
                                                : cut(x);
}

static void on_stall(struct timer *t)
{
    struct exchange *x = container_of(t, struct exchange, stall.timer);
    bool unread = is_unread(x);

    if (!stall_look(&x->stall, x->client))
        return;
    log_info(x->id, "the client stalled", LOG_S("client", x->from->address),
             LOG_S("what", unread ? "does not read its response" : "paused in the body"),
             LOG_U("ms", x->stall.ms));
    if (unread)
        bufq_clear(&x->client->out); /* nothing is left to wait for before the reset */
    enter(x, unread ? give_up(x) : refuse_half_sent(x));
}

/* What waits because of it, and how far it has come. */
static void note_waiting(struct exchange *x)
{
    const struct stream *client = x->client, *pod = x->lease.stream;
    size_t out = client->out.len + (pod ? pod->out.len : 0);
    size_t in = client->in.len + x->sending.held.len + (pod ? pod->in.len : 0);
    uint64_t taken = x->bytes_in + x->bytes_out + x->relay.up + x->relay.down;

    holder_wait(x->holder, is_unread(x), out + in, taken - out);
}

static void on_wake(struct task *t)
{
    struct exchange *x = container_of(t, struct exchange, task);

    while (x->state != EXCHANGE_DONE) {
        assert(x->client);
        enum exchange_state next = is_abandoned(x) ? give_up(x) : states[x->state].run(x);
        if (next != x->state)
            enter(x, next);
        else if (!is_abandoned(x)) /* it may have been paused just now */
            break;
    }
    if (x->state > EXCHANGE_HEAD && x->state < EXCHANGE_DONE)
        note_waiting(x);
    if (x->state != EXCHANGE_DONE)
        watch_client(x);
}

static void on_deadline(struct timer *t)
{
    struct exchange *x = container_of(t, struct exchange, deadline);
    enum exchange_state next = states[x->state].late(x);

    if (next != x->state)
        enter(x, next);
}

struct exchange *exchange_take(struct serve *serve)
{
    if (!list_empty(&serve->spare)) {
        struct exchange *x = list_first(&serve->spare, struct exchange, spare);
        list_remove(&x->spare);
        serve->spares--;
        return x;
    }
    struct exchange *x = xcalloc(1, sizeof(*x));
    x->serve = serve;
    x->state = EXCHANGE_DONE;
    list_init(&x->spare);
    task_init(&x->task, serve->sched, RANK_WORK, on_wake);
    timer_init(&x->deadline, serve->sched, on_deadline);
    timer_init(&x->stall.timer, serve->sched, on_stall);
    bufq_init(&x->sending.held, serve->pool, 0);
    return x;
}

void exchange_start(struct exchange *x, struct stream *client, const struct visitor *from,
                    struct log_id id, struct task *owner)
{
    uint64_t head = head_ms(x->serve->config);

    x->client = client;
    x->from = from;
    x->id = id;
    x->owner = owner;
    x->began = x->serve->sched->now;
    head_text_clear(&x->text);
    x->known = x->keep = x->cut = x->paired = false;
    x->attempts = x->deliveries = 0;
    x->waited_ms = 0;
    x->status = 0;
    x->bytes_in = x->bytes_out = 0;
    x->sending.body = (struct body){ 0 };
    x->state = EXCHANGE_HEAD;
    timer_set(&x->deadline, from->surplus && head > SURPLUS_MS ? SURPLUS_MS : head);
    client->wake = &x->task;
    task_wake(&x->task);
}

void exchange_adopt(struct exchange *x, struct lease *lease, unsigned attempts)
{
    if (!lease->private && !lease->result)
        return; /* none was made: a login is needed */
    upstream_lease_move(lease, &x->lease, str_of(x->from->address), &x->task);
    x->adopted = true;
    x->leased_at = x->serve->sched->now;
    x->attempts = attempts;
}

void exchange_abort(struct exchange *x)
{
    if (x->state == EXCHANGE_DONE)
        return;
    give_up(x);
    enter(x, EXCHANGE_DONE);
}

void exchange_destroy(struct exchange *x)
{
    task_cancel(&x->task);
    timer_stop(&x->deadline);
    timer_stop(&x->stall.timer);
    bufq_finish(&x->sending.held);
    head_text_finish(&x->text);
    head_text_finish(&x->answering.text);
    head_fields_finish(&x->request);
    free(x);
}

void exchange_release(struct exchange *x)
{
    struct serve *serve = x->serve;

    exchange_abort(x);
    task_cancel(&x->task);
    bufq_clear(&x->sending.held);
    endpoint_unref(TAKE(x->avoid));
    if (serve->spares >= SPARES_MAX) {
        exchange_destroy(x);
        return;
    }
    head_text_shrink(&x->text);
    head_text_shrink(&x->answering.text);
    head_fields_shrink(&x->request);
    list_prepend(&serve->spare, &x->spare);
    serve->spares++;
}
