/* control/connection.c - one connection to the control socket: a request, then its answer
 *
 *      HEAD ──▶ BODY ──▶ RUN ──▶ ANSWER ──▶ CLOSED
 *                         └────▶ EVENTS, NAMES
 *
 * A request is read whole before it runs: its head has at most HEAD_MAX bytes, its body
 * BODY_MAX.  The answer goes out as fast as the client reads it, within ANSWER_MS.  Events
 * (control/reader.h) and names (control/names.h) are sent as they come, until the client closes the
 * connection.
 */
#include "control/connection.h"

#include <stdio.h>

#include "base/own.h"
#include "addresses/pin.h"
#include "control/control_state.h"
#include "control/names.h"
#include "control/operation.h"
#include "control/reader.h"
#include "http/head_text.h"
#include "http/page.h"
#include "net/loop.h"
#include "net/stream.h"
#include "serve/serve.h"
#include "wire/http1.h"

#define HEAD_MAX 8192
#define FIELDS_MAX 64
#define BODY_MAX 65536
#define REQUEST_MS 5000 /* for the whole request */
#define RUN_MS 30000    /* for an operation that waits */
#define NAMES_ROOM (256u << 10)
#define ANSWER_MS 10000 /* for the client to read the answer */

/* State, and its deadline. */
#define STATES(X) /* clang-format off */ \
    X(HEAD,   head,   REQUEST_MS) \
    X(BODY,   body,   REQUEST_MS) \
    X(RUN,    run,    RUN_MS)     /* the operation waits */ \
    X(EVENTS, events, 0)          /* until the client leaves */ \
    X(NAMES,  names,  0)          /* likewise */ \
    X(ANSWER, answer, ANSWER_MS)  /* the answer goes out */ \
    X(CLOSED, closed, 0)          /* the memory goes when the task has run */
/* clang-format on */

enum connection_state {
#define X(NAME, name, ms) CONNECTION_##NAME,
    STATES(X)
#undef X
};

struct connection {
    struct control *control;
    struct list_node member;
    struct task task;
    struct timer deadline;
    enum connection_state state;
    struct stream *client; /* owned */
    struct head_text text;
    struct http1_field fields[FIELDS_MAX];
    struct http1_head head;
    char *body; /* owned */
    size_t body_len;
    struct operation operation;
    struct answer answer;    /* owned text */
    size_t sent;             /* bytes of it that are in the client's queue */
    struct reader reader;    /* in EVENTS */
    struct address_pin *pin; /* in NAMES */
    bool holds_outside;      /* likewise: of a command whose proxy this is */
};

#define X(NAME, name, ms)                                                                \
    static enum connection_state connection_in_##name(struct connection *c);
STATES(X)
#undef X

static const struct {
    enum connection_state (*run)(struct connection *c);
    uint64_t ms;
} states[] = {
#define X(NAME, name, ms) [CONNECTION_##NAME] = { connection_in_##name, ms },
    STATES(X)
#undef X
};

/* The head of the answer goes into the queue here, its text in connection_in_answer. */
static enum connection_state send_answer(struct connection *c)
{
    char head[PAGE_HEAD_MAX];
    const struct page page = {
        .status = c->answer.status,
        .type = "application/json",
        .body = { c->answer.text, c->answer.len },
        .allow = c->answer.allow,
        .connection = "close",
        .head_only = str_eq(c->head.method, STR("HEAD")),
    };
    size_t len = page_head(&page, head);

    bufq_write(&c->client->out, head, len);
    if (page.head_only)
        c->answer.len = 0;
    return CONNECTION_ANSWER;
}

static enum connection_state refuse(struct connection *c, int status, const char *code,
                                    const char *text)
{
    answer_error(&c->answer, status, code, NULL, "%s", text);
    return send_answer(c);
}

static enum connection_state connection_in_head(struct connection *c)
{
    enum err e = head_text_take(&c->text, &c->client->in, HEAD_MAX);

    if (e == ERR_AGAIN)
        return c->client->in_eof ? CONNECTION_CLOSED : CONNECTION_HEAD;
    if (e)
        return refuse(c, 431, "too_large", "the head is larger than 8 KiB");
    c->head.fields = c->fields;
    c->head.room = FIELDS_MAX;
    e = http1_request_parse(c->text.at, c->text.len, &c->head);
    if (e)
        return refuse(c, e == ERR_LIMIT ? 431 : 400, "malformed",
                      c->head.problem ? c->head.problem : "malformed request");
    if (c->head.framing == BODY_CHUNKED)
        return refuse(c, 411, "length_required", "a body needs a Content-Length");
    if (c->head.length > BODY_MAX)
        return refuse(c, 413, "too_large", "the body is larger than 64 KiB");
    return CONNECTION_BODY;
}

static enum connection_state begin_operation(struct connection *c)
{
    struct operation *op = &c->operation;

    *op = (struct operation){ .control = c->control,
                              .method = c->head.method,
                              .wake = &c->task };
    op->query = str_cut(c->head.target, '?', &op->path);
    if (c->body_len) {
        op->body = json_loadb(c->body, c->body_len, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(op->body))
            return refuse(c, 400, "malformed", "the body is not a JSON object");
    }
    return CONNECTION_RUN;
}

static enum connection_state connection_in_body(struct connection *c)
{
    struct bufq *in = &c->client->in;
    size_t left = (size_t)c->head.length - c->body_len;

    if (c->head.expect_continue && !c->body)
        bufq_write(&c->client->out, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    if (!c->body)
        c->body = xmalloc((size_t)c->head.length + 1);
    c->body_len += bufq_read(in, c->body + c->body_len, left < in->len ? left : in->len);
    if (c->body_len == c->head.length)
        return begin_operation(c);
    return c->client->in_eof ? CONNECTION_CLOSED : CONNECTION_BODY;
}

static void begin_stream(struct connection *c)
{
    const struct str head = STR("HTTP/1.1 200 OK\r\n"
                                "Content-Type: application/x-ndjson\r\n"
                                "Cache-Control: no-store\r\n"
                                "Connection: close\r\n\r\n"
                                "{\"type\":\"begin\"}\n");

    bufq_write(&c->client->out, head.at, head.len);
}

static enum connection_state begin_names(struct connection *c)
{
    struct diag why = { "" };
    enum err e = names_open(c->control, c->operation.query, &c->task, &c->pin, &why);

    if (e == ERR_LIMIT)
        return refuse(c, 503, "too_many_readers", why.text);
    if (e)
        return refuse(c, e == ERR_CANCELLED ? 409 : 400, "not_available",
                      diag_text(&why, e));
    c->holds_outside = query_flag(c->operation.query, "proxy");
    if (c->holds_outside)
        serve_hold_outside(c->control->parts.serve);
    c->client->out.limit = NAMES_ROOM;
    begin_stream(c);
    return CONNECTION_NAMES;
}

static enum connection_state connection_in_names(struct connection *c)
{
    bufq_clear(&c->client->in);
    if (c->client->in_eof)
        return CONNECTION_CLOSED;
    names_write(c->control, c->pin, &c->client->out);
    return CONNECTION_NAMES;
}

static enum connection_state begin_events(struct connection *c)
{
    struct diag why = { "" };

    if (reader_filter_read(c->operation.query, &c->reader.filter, &why))
        return refuse(c, 400, "malformed", why.text);
    c->client->out.limit = READER_ROOM;
    c->reader.out = &c->client->out;
    c->reader.flush = &c->task;
    if (reader_add(&c->reader, c->control)) {
        reader_remove(&c->reader);
        return refuse(c, 503, "too_many_readers", "8 readers of events are connected");
    }
    begin_stream(c);
    return CONNECTION_EVENTS;
}

static enum connection_state connection_in_events(struct connection *c)
{
    bufq_clear(&c->client->in);
    return c->client->in_eof ? CONNECTION_CLOSED : CONNECTION_EVENTS;
}

static enum connection_state connection_in_run(struct connection *c)
{
    enum err e = operation_run(&c->operation, &c->answer);

    if (e == ERR_UNSUPPORTED)
        return str_eq(c->operation.path, STR("/v1/names")) ? begin_names(c)
                                                           : begin_events(c);
    return e == ERR_AGAIN ? CONNECTION_RUN : send_answer(c);
}

static enum connection_state connection_in_answer(struct connection *c)
{
    struct stream *client = c->client;
    const char *rest = c->answer.text + c->sent;

    bufq_clear(&client->in);
    c->sent += bufq_write(&client->out, rest, c->answer.len - c->sent);
    stream_update(client);
    if (c->sent < c->answer.len)
        return CONNECTION_ANSWER;
    stream_shutdown(client);
    return bufq_empty(&client->out) ? CONNECTION_CLOSED : CONNECTION_ANSWER;
}

static enum connection_state connection_in_closed(struct connection *c)
{
    (void)c;
    return CONNECTION_CLOSED;
}

static void connection_enter(struct connection *c, enum connection_state next)
{
    c->state = next;
    timer_set(&c->deadline, states[next].ms);
    if (next != CONNECTION_CLOSED)
        return;
    operation_finish(&c->operation);
    reader_end(&c->reader);
    reader_remove(&c->reader);
    pin_close(TAKE(c->pin));
    if (c->holds_outside)
        serve_end_outside(c->control->parts.serve);
    c->holds_outside = false;
    stream_update(c->client);
    stream_close(TAKE(c->client));
    task_wake(&c->task);
}

static void connection_free(struct connection *c)
{
    task_cancel(&c->task);
    timer_stop(&c->deadline);
    list_remove(&c->member);
    c->control->count--;
    head_text_finish(&c->text);
    free(c->body);
    free(c->answer.text);
    free(c);
}

/* A client that has closed its connection needs no answer; one that has only ended its
 * output does. */
static enum connection_state run_state(struct connection *c)
{
    if (c->state != CONNECTION_CLOSED && c->client->broken)
        return CONNECTION_CLOSED;
    return states[c->state].run(c);
}

static void connection_on_wake(struct task *t)
{
    struct connection *c = container_of(t, struct connection, task);

    while (c->state != CONNECTION_CLOSED) {
        enum connection_state next = run_state(c);
        if (next == c->state) {
            stream_update(c->client);
            return;
        }
        connection_enter(c, next);
    }
    connection_free(c);
}

static void connection_on_deadline(struct timer *t)
{
    struct connection *c = container_of(t, struct connection, deadline);
    enum connection_state next = CONNECTION_CLOSED;

    if (c->state == CONNECTION_RUN)
        next = refuse(c, 504, "timeout", "the operation took too long");
    connection_enter(c, next);
    task_wake(&c->task);
}

void connection_open(struct control *control, struct stream *client)
{
    struct connection *c = xcalloc(1, sizeof(*c));

    c->control = control;
    c->client = client;
    task_init(&c->task, control->sched, RANK_WORK, connection_on_wake);
    timer_init(&c->deadline, control->sched, connection_on_deadline);
    client->wake = &c->task;
    list_append(&control->connections, &c->member);
    control->count++;
    connection_enter(c, CONNECTION_HEAD);
    task_wake(&c->task);
}

void connections_destroy(struct control *control)
{
    list_for_each (c, &control->connections, struct connection, member) {
        if (c->state != CONNECTION_CLOSED)
            connection_enter(c, CONNECTION_CLOSED);
        connection_free(c);
    }
}
