/* control/history.c - the last requests that were observed, to be sent again */
#include "control/history.h"

#include "base/own.h"
#include "serve/observer.h"

/* Requests have credentials. */
static void kept_destroy(struct kept_request *k)
{
    explicit_bzero(k->bytes, k->room);
    free(k);
}

static void drop(struct history *h, struct kept_request *k)
{
    list_remove(&k->node);
    h->count--;
    h->bytes -= k->size;
    kept_destroy(k);
}

static struct kept_request *oldest(struct history *h)
{
    return list_first(&h->requests, struct kept_request, node);
}

static void on_expire(struct timer *t)
{
    struct history *h = container_of(t, struct history, expire);

    while (h->count && oldest(h)->at + HISTORY_MS <= h->sched->now)
        drop(h, oldest(h));
    if (h->count)
        timer_set_at(&h->expire, oldest(h)->at + HISTORY_MS);
}

void history_init(struct history *h, struct sched *sched)
{
    *h = (struct history){ .sched = sched };
    list_init(&h->requests);
    timer_init(&h->expire, sched, on_expire);
}

void history_finish(struct history *h)
{
    timer_stop(&h->expire);
    while (h->count)
        drop(h, oldest(h));
}

static struct str body_of(const struct request_event *e)
{
    const struct body_copy *b = e->request_body;

    return b ? (struct str){ b->at, b->len } : (struct str){ 0 };
}

static bool has_whole_body(const struct request_event *e)
{
    switch (e->request->framing) {
    case BODY_NONE:
        return true;
    case BODY_LENGTH:
        return body_of(e).len == e->request->length;
    default:
        return e->whole;
    }
}

static const char *incomplete_of(const struct request_event *e)
{
    if (str_eq(e->request->method, STR("CONNECT")) || e->request->upgrade)
        return "it opened a connection for other bytes";
    if (e->bytes_in && !body_of(e).len)
        return "its body was not kept; watch with: kube-tunnel tail --bodies";
    if (e->request_body && e->request_body->cut)
        return "its body is larger than the 64 KiB that are kept";
    if (!has_whole_body(e))
        return "not all of its body was received from the client";
    return NULL;
}

/* From the method to the end of the last field: they are one piece of text. */
static struct str head_of(const struct http1_head *head)
{
    const char *begin = head->method.at;
    const size_t version = sizeof(" HTTP/1.0\r\n") - 1;
    struct str last = { head->target.at, head->target.len + version };

    if (head->count)
        last = head->fields[head->count - 1].line;

    return (struct str){ begin, (size_t)(last.at + last.len - begin) };
}

static struct str copy(struct kept_request *k, size_t *at, struct str text)
{
    struct str view = { k->bytes + *at, text.len };

    if (text.len)
        memcpy(k->bytes + *at, text.at, text.len);
    *at += text.len;
    return view;
}

/* The oldest, if there are enough and its room fits, or a new one. */
static struct kept_request *take(struct history *h, size_t size)
{
    struct kept_request *k = h->count >= HISTORY_MAX ? oldest(h) : NULL;

    if (!k || k->room < size || k->room > 2 * size) {
        k = xmalloc(sizeof(*k) + size);
        k->room = size;
        return k;
    }
    list_remove(&k->node);
    h->count--;
    h->bytes -= k->size;
    return k;
}

static struct kept_request *keep(struct history *h, const struct request_event *e)
{
    const struct str head = head_of(e->request), body = body_of(e);
    struct str name = e->exposed ? str_of(e->name->text) : STR("");
    size_t at = 0, size = head.len + body.len + name.len;
    struct kept_request *k = take(h, size);

    k->id = e->id;
    k->at = h->sched->now;
    k->listener = e->listener;
    k->loopback = e->loopback;
    k->port = e->port;
    k->size = size;
    k->incomplete = incomplete_of(e);
    k->head = copy(k, &at, head);
    k->body = copy(k, &at, body);
    k->name = copy(k, &at, name);
    return k;
}

void history_add(struct history *h, const struct request_event *e)
{
    struct kept_request *k = keep(h, e);

    list_append(&h->requests, &k->node);
    h->count++;
    h->bytes += k->size;
    while (h->count > HISTORY_MAX || (h->bytes > HISTORY_BYTES && h->count > 1))
        drop(h, oldest(h));
    if (!h->expire.at)
        timer_set(&h->expire, HISTORY_MS);
}

/* --- writing it again --- */

/* Of the connection, or written anew. */
static bool is_left_out(const struct http1_field *f)
{
    return f->hop || f->id == FIELD_CONTENT_LENGTH || f->id == FIELD_EXPECT ||
           f->id == FIELD_TRANSFER_ENCODING;
}

static void put(struct json_out *out, const char *text)
{
    json_out_raw(out, str_of(text));
}

static void put_field(struct json_out *out, struct str name, struct str value)
{
    json_out_raw(out, name);
    put(out, ": ");
    json_out_raw(out, value);
    put(out, "\r\n");
}

/* Chunks are sent again as they came. */
static void put_framing(struct json_out *out, const struct http1_head *head,
                        const struct kept_request *k)
{
    if (head->framing == BODY_CHUNKED) {
        put(out, "Transfer-Encoding: chunked\r\n");
    } else if (head->framing == BODY_LENGTH || k->body.len) {
        put(out, "Content-Length: ");
        json_out_number(out, k->body.len);
        put(out, "\r\n");
    }
}

/* A request through an exposed port is sent to the service's name instead. */
static void put_target(struct json_out *out, const struct http1_head *head,
                       const struct kept_request *k)
{
    json_out_raw(out, head->method);
    put(out, " ");
    if (k->name.len && head->target.at[0] == '/') {
        put(out, "http://");
        json_out_raw(out, k->name);
        if (k->port) {
            put(out, ":");
            json_out_number(out, k->port);
        }
    }
    json_out_raw(out, head->target);
    put(out, " HTTP/1.1\r\n");
}

static void put_request(struct json_out *out, const struct http1_head *head,
                        const struct kept_request *k)
{
    put_target(out, head, k);
    for (size_t i = 0; i < head->count; i++)
        if (!is_left_out(&head->fields[i]))
            put_field(out, head->fields[i].name, head->fields[i].value);
    put_framing(out, head, k);
    put(out, "Connection: close\r\n\r\n");
    json_out_raw(out, k->body);
}

/* The room is reserved at once: growing would leave copies in freed memory. */
enum err history_write(const struct kept_request *k, struct json_out *ret,
                       struct str *ret_method)
{
    AUTO_FREE char *text = xasprintf("%.*s\r\n", STR_ARG(k->head));
    AUTO_FREE struct http1_field *fields = xcalloc(k->head.len + 1, sizeof(*fields));
    struct http1_head head = { .fields = fields, .room = k->head.len };

    json_out_clear(ret);
    json_out_reserve(ret, 2 * k->head.len + k->name.len + k->body.len + 256);
    enum err e = http1_request_parse(text, k->head.len + 2, &head);
    if (!e)
        put_request(ret, &head, k);
    *ret_method = (struct str){ ret->at, e ? 0 : head.method.len };
    explicit_bzero(text, k->head.len + 2);
    return e;
}

const struct kept_request *history_find(const struct history *h, struct str id)
{
    list_for_each (k, &h->requests, struct kept_request, node) {
        char text[48];
        size_t len = log_id_text(k->id, text);
        if (str_eq(id, (struct str){ text, len }))
            return k;
    }
    return NULL;
}
