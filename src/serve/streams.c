/* serve/streams.c - the requests of a client's HTTP/2 connection */
#include "serve/streams.h"

#include "base/own.h"
#include "catalog/service.h"
#include "http/h2.h"
#include "serve/client_side.h"
#include "serve/exchange.h"
#include "serve/serve_state.h"
#include "serve/stall.h"
#include "upstream/lease.h"

LOG_MODULE(serve);

#define RESET_CANCEL 0x8
#define FREE_MAX 512
#define RESET_CALM 0xb /* ENHANCE_YOUR_CALM: it holds more than its share */

struct streams {
    struct serve *serve;
    struct h2_connection *connection;
    struct stream *client;
    const struct visitor *from;
    struct log_id id;
    struct task *owner;
    struct list_node running; /* struct running */
    size_t count;
    uint64_t requests;
    bool paired;
};

/* One request, until the last byte of its response is sent. */
struct running {
    struct streams *streams;
    struct list_node member;
    struct message_stream *message;
    struct exchange *exchange; /* NULL: it is over, the rest is being sent */
    struct task task;
    struct holder holder;
    struct stall stall;
    struct log_id id;
};

/* From the free list, or a new one; zeroed. */
static struct running *running_take(struct serve *serve)
{
    if (list_empty(&serve->free_running))
        return xcalloc(1, sizeof(struct running));
    struct running *r = list_first(&serve->free_running, struct running, member);
    list_remove(&r->member);
    serve->free_running_count--;
    *r = (struct running){ 0 };
    return r;
}

static void running_put(struct serve *serve, struct running *r)
{
    if (serve->free_running_count >= FREE_MAX) {
        free(r);
        return;
    }
    list_prepend(&serve->free_running, &r->member);
    serve->free_running_count++;
}

void streams_trim(struct serve *serve)
{
    list_for_each (r, &serve->free_running, struct running, member) {
        list_remove(&r->member);
        free(r);
    }
    serve->free_running_count = 0;
}

static void running_end(struct running *r, bool reset)
{
    struct streams *s = r->streams;

    if (r->exchange)
        exchange_release(TAKE(r->exchange));
    if (reset)
        stream_abort(r->message->bytes);
    else
        stream_close(r->message->bytes);
    task_cancel(&r->task);
    timer_stop(&r->stall.timer);
    holder_finish(&r->holder);
    list_remove(&r->member);
    s->count--;
    task_wake(s->owner);
    running_put(s->serve, r);
}

/* The response is in `out`.  True: it has left, or will not. */
static bool is_sent(struct running *r)
{
    struct stream *bytes = r->message->bytes;
    size_t left = bytes->out.len;

    if (bytes->broken || bytes->out_eof)
        return true;
    stall_watch(&r->stall, left != 0, left,
                stall_send_ms(r->streams->serve, r->streams->from));
    holder_wait(&r->holder, client_is_unread(bytes), left, left);
    return false;
}

static void running_on_wake(struct task *t)
{
    struct running *r = container_of(t, struct running, task);
    struct exchange_result result;

    if (r->exchange && !exchange_is_over(r->exchange, &result))
        return;
    if (r->exchange) {
        r->streams->paired |= result.paired;
        exchange_release(TAKE(r->exchange));
        if (result.reset) {
            running_end(r, true);
            return;
        }
    }
    if (is_sent(r))
        running_end(r, false);
}

static void running_on_stall(struct timer *t)
{
    struct running *r = container_of(t, struct running, stall.timer);

    if (r->exchange || !stall_look(&r->stall, r->streams->client))
        return;
    client_log_stall(&r->stall, r->id, r->streams->from->address, true);
    running_end(r, true);
}

static bool running_give_way(struct holder *h, enum holding what)
{
    struct running *r = container_of(h, struct running, holder);

    (void)what;
    log_info(r->id, "closed to make room for others",
             LOG_S("client", r->streams->from->address),
             LOG_U("stalled_ms", r->task.sched->now - h->since));
    r->message->ops->reset(r->message, RESET_CALM);
    running_end(r, true);
    return true;
}

static void start(struct streams *s, struct message_stream *m)
{
    struct running *r = running_take(s->serve);

    r->streams = s;
    r->message = m;
    r->id = (struct log_id){ .kind = s->id.kind,
                             .number = s->id.number,
                             .sub = ++s->requests };
    task_init(&r->task, s->serve->sched, RANK_WORK, running_on_wake);
    timer_init(&r->stall.timer, s->serve->sched, running_on_stall);
    holder_init(&r->holder, &s->serve->pressure, s->from->account, running_give_way);
    list_append(&s->running, &r->member);
    s->count++;
    const struct client_loan loan = { m, s->from, &r->holder, &r->task };
    r->exchange = exchange_open(s->serve, &loan, r->id, NULL);
}

void streams_run(struct streams *s)
{
    struct message_stream *m;

    while ((m = h2_accept(s->connection)))
        start(s, m);
}

struct streams *streams_open(struct serve *serve, struct stream *client,
                             const struct client_loan *loan, struct log_id id)
{
    struct streams *s = xcalloc(1, sizeof(*s));

    s->serve = serve;
    s->client = client;
    s->from = loan->from;
    s->id = id;
    s->owner = loan->owner;
    list_init(&s->running);
    s->connection = h2_server_create(&serve->h2, client, s->owner);
    return s;
}

void streams_close(struct streams *s)
{
    if (!s)
        return;
    list_for_each (r, &s->running, struct running, member)
        running_end(r, true);
    h2_destroy(s->connection);
    s->client->wake = NULL;
    free(s);
}

uint64_t streams_begun(const struct streams *s)
{
    return s->requests;
}

size_t streams_count(const struct streams *s)
{
    return s->count;
}

bool streams_are_over(const struct streams *s)
{
    return s->count == 0 && h2_is_over(s->connection);
}

bool streams_are_paired(const struct streams *s)
{
    return s->paired;
}

void streams_drain(struct streams *s)
{
    h2_drain(s->connection);
}

void streams_close_denied(struct streams *s)
{
    list_for_each (r, &s->running, struct running, member) {
        if (!r->exchange || !exchange_reaches_closed(r->exchange))
            continue;
        log_info(r->id, "closed: its namespace is closed now",
                 LOG_S("client", s->from->address));
        r->message->ops->reset(r->message, RESET_CANCEL);
        running_end(r, true);
    }
}

void streams_end(struct streams *s)
{
    if (s->count == 0)
        h2_terminate(s->connection, RESET_NO_ERROR);
}

bool streams_own_holder(const struct holder *h)
{
    return h->give_way == running_give_way;
}

bool streams_use_pod(const struct holder *h, const char *pod_key)
{
    const struct running *r = container_of(h, const struct running, holder);
    const struct endpoint *e = r->exchange ? exchange_endpoint(r->exchange) : NULL;

    return e && strcmp(e->key, pod_key) == 0;
}
