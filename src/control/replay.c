/* control/replay.c - the operation replay: send a request again
 *
 * The request goes through serve/ like that of any client, on a stream in memory: the same
 * rules, log and events apply.  Its credentials leave this process only towards the pod.
 */
#include "control/replay.h"

#include <assert.h>
#include <unistd.h>

#include "base/own.h"
#include "base/utf8.h"
#include "control/control_state.h"
#include "base/json_text.h"
#include "control/redact.h"
#include "http/head_text.h"
#include "net/loop.h"
#include "net/stream.h"
#include "serve/serve.h"

#define STREAM_LIMIT (4 * CHUNK_ROOM)
#define HEAD_MAX 65536
#define FIELDS_MAX 256
#define BODY_SHOWN 65536

/* A request that runs again. */
struct replaying {
    struct stream *stream; /* our end; owned */
    struct json_out request;
    size_t sent;
    struct str method; /* in `request` */
    uint64_t began;
    struct head_text head;
    struct http1_field fields[FIELDS_MAX];
    struct http1_head parsed;
    bool has_head;
    uint64_t received; /* bytes of the body, framing included */
};

static void replaying_cancel(void *work)
{
    struct replaying *r = work;

    stream_abort(r->stream);
    head_text_finish(&r->head);
    if (r->request.at)
        explicit_bzero(r->request.at, r->request.room);
    json_out_finish(&r->request);
    free(r);
}

static enum err refuse(struct answer *ret, int status, const char *code, const char *next,
                       const char *text)
{
    answer_error(ret, status, code, next, "%s", text);
    return OK;
}

static enum err begin(struct operation *op, const struct kept_request *k)
{
    const struct control_parts *p = &op->control->parts;
    struct replaying *r = xcalloc(1, sizeof(*r));
    const struct arrival from = {
        .address = "control",
        .peer = { .kind = PEER_LOCAL, .uid = geteuid() },
        .port = k->listener,
        .loopback = k->loopback,
    };

    enum err e = history_write(k, &r->request, &r->method);
    if (e) {
        replaying_cancel(r);
        return e;
    }
    struct stream_pair pair =
        mem_stream_pair(op->control->sched, loop_pool(p->loop), STREAM_LIMIT);
    r->began = op->control->sched->now;
    r->stream = pair.a;
    r->stream->wake = op->wake;
    op->work = r;
    op->cancel = replaying_cancel;
    serve_accept(p->serve, pair.b, &from);
    return ERR_AGAIN;
}

static enum err start(struct operation *op, struct answer *ret)
{
    const struct kept_request *k = history_find(&op->control->history, op->id);
    bool unsafe = json_is_true(json_object_get(op->body, "unsafe"));
    const struct control_orders *o = &op->control->parts.orders;

    if (!k)
        return refuse(ret, 404, "not_found", "kube-tunnel tail",
                      "that request is not kept: only those that a reader of events has "
                      "seen are, for ten minutes");
    if (k->incomplete)
        return refuse(ret, 409, "incomplete", NULL, k->incomplete);
    struct str method;
    str_cut(k->head, ' ', &method);
    if (!http1_safe(method) && !unsafe)
        return refuse(ret, 409, "unsafe", "kube-tunnel replay ID --unsafe",
                      "its method may change something a second time");
    if (!o->listeners(o->owner))
        return refuse(ret, 409, "draining", "kube-tunnel status",
                      "kube-tunnel accepts no requests any more");
    enum err e = begin(op, k);
    return e == ERR_AGAIN
               ? e
               : refuse(ret, 409, "incomplete", NULL, "its head cannot be sent again");
}

static void send_more(struct replaying *r)
{
    r->sent +=
        bufq_write(&r->stream->out, r->request.at + r->sent, r->request.len - r->sent);
}

/* OK: there is a head.  Interim responses are skipped. */
static enum err read_head(struct replaying *r)
{
    enum err e = OK;

    while (!e && !r->has_head) {
        e = head_text_take(&r->head, &r->stream->in, HEAD_MAX);
        if (e)
            return e == ERR_AGAIN && r->stream->in_eof ? ERR_EOF : e;
        r->parsed.fields = r->fields;
        r->parsed.room = FIELDS_MAX;
        e = http1_response_parse(r->head.at, r->head.len, r->method, &r->parsed);
        r->has_head = !e && r->parsed.status / 100 != 1;
        if (!r->has_head)
            head_text_clear(&r->head);
    }
    return e;
}

static json_t *headers_of(const struct http1_head *head)
{
    json_t *list = json_array();

    for (size_t i = 0; i < head->count; i++) {
        const struct http1_field *f = &head->fields[i];
        AUTO_FREE char *name = str_dup(f->name);
        AUTO_FREE char *value =
            redact_is_secret(f->name) || redact_has_url(f->name, f->value)
                ? xstrdup(REDACTED)
                : str_dup(f->value);
        json_t *pair = json_array();
        json_array_append_new(pair, json_text(name));
        json_array_append_new(pair, json_text(value));
        json_array_append_new(list, pair);
    }
    return list;
}

static void conclude(const struct operation *op, struct answer *ret)
{
    const struct replaying *r = op->work;
    json_t *whole = json_object();

    json_object_set_new(whole, "status", json_integer(r->parsed.status));
    json_object_set_new(whole, "ms",
                        json_integer((json_int_t)(op->control->sched->now - r->began)));
    json_object_set_new(whole, "headers", headers_of(&r->parsed));
    json_object_set_new(whole, "bodyBytes", json_integer((json_int_t)r->received));
    answer_json(ret, 200, whole);
}

enum err replay_request(struct operation *op, struct answer *ret)
{
    if (!op->work) {
        enum err e = start(op, ret);
        if (e != ERR_AGAIN)
            return e;
    }
    struct replaying *r = op->work;
    assert(r);
    send_more(r);
    enum err e = r->has_head ? OK : read_head(r);
    if (e == ERR_PROTO || e == ERR_LIMIT || e == ERR_EOF)
        return refuse(ret, 502, "no_response", "kube-tunnel tail",
                      "there was no response that could be read");
    if (r->has_head) {
        r->received += r->stream->in.len;
        bufq_clear(&r->stream->in);
    }
    stream_update(r->stream);
    if (!r->has_head || (!r->stream->in_eof && !r->stream->broken))
        return ERR_AGAIN;
    conclude(op, ret);
    return OK;
}
