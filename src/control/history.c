/* control/history.c - the last requests that were observed, to be sent again */
#include "control/history.h"

#include "base/own.h"
#include "serve/observer.h"

static void drop(struct history *h, struct kept_request *k)
{
    list_remove(&k->node);
    h->count--;
    h->bytes -= k->len;
    free(k);
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
    json_out_finish(&h->scratch);
    while (h->count)
        drop(h, oldest(h));
}

/* Of the connection, or written anew. */
static bool is_left_out(const struct http1_field *f)
{
    return f->hop || f->id == FIELD_CONTENT_LENGTH || f->id == FIELD_EXPECT ||
           f->id == FIELD_HOST || f->id == FIELD_TRANSFER_ENCODING;
}

static struct str body_of(const struct request_event *e)
{
    const struct body_copy *b = e->request_body;

    return b ? (struct str){ b->at, b->len } : (struct str){ 0 };
}

static void put(struct json_out *out, const char *text)
{
    json_out_raw(out, str_of(text));
}

static void put_field(struct json_out *out, struct str name, struct str value)
{
    json_out_raw(out, name);
    json_out_raw(out, STR(": "));
    json_out_raw(out, value);
    json_out_raw(out, STR("\r\n"));
}

/* Chunks are sent again as they came. */
static void put_framing(struct json_out *out, const struct request_event *e)
{
    if (e->request->framing == BODY_CHUNKED) {
        put(out, "Transfer-Encoding: chunked\r\n");
    } else if (e->request->framing == BODY_LENGTH || body_of(e).len) {
        put(out, "Content-Length: ");
        json_out_number(out, body_of(e).len);
        put(out, "\r\n");
    }
}

/* A request through an exposed port is sent to the service's name instead. */
static void put_target(struct json_out *out, const struct request_event *e)
{
    struct str host = e->exposed ? str_of(e->name->text) : e->host;

    json_out_raw(out, e->request->method);
    put(out, " http://");
    json_out_raw(out, host);
    if (e->exposed && e->port) {
        put(out, ":");
        json_out_number(out, e->port);
    }
    put(out, e->path.len && e->path.at[0] == '/' ? "" : "/");
    json_out_raw(out, e->path);
    put(out, " HTTP/1.1\r\n");
    put_field(out, STR("Host"), host);
}

static void put_request(struct json_out *out, const struct request_event *e)
{
    put_target(out, e);
    for (size_t i = 0; i < e->request->count; i++)
        if (!is_left_out(&e->request->fields[i]))
            put_field(out, e->request->fields[i].name, e->request->fields[i].value);
    put_framing(out, e);
    put(out, "Connection: close\r\n\r\n");
    json_out_raw(out, body_of(e));
}

static const char *incomplete_of(const struct request_event *e)
{
    if (str_eq(e->request->method, STR("CONNECT")) || e->request->upgrade)
        return "it opened a connection for other bytes";
    if (e->bytes_in && !body_of(e).len)
        return "its body was not kept; watch with: kube-tunnel tail --bodies";
    if (e->request_body && e->request_body->cut)
        return "its body is larger than the 64 KiB that are kept";
    return NULL;
}

void history_add(struct history *h, const struct request_event *e)
{
    struct json_out *scratch = &h->scratch;

    json_out_clear(scratch);
    put_request(scratch, e);
    struct kept_request *k = xmalloc(sizeof(*k) + scratch->len);
    memcpy(k->text, scratch->at, scratch->len);
    k->len = scratch->len;
    k->method = (struct str){ k->text, e->request->method.len };
    k->id = e->id;
    k->at = h->sched->now;
    k->listener = e->listener;
    k->loopback = e->loopback;
    k->incomplete = incomplete_of(e);
    list_append(&h->requests, &k->node);
    h->count++;
    h->bytes += k->len;
    while (h->count > HISTORY_MAX || (h->bytes > HISTORY_BYTES && h->count > 1))
        drop(h, oldest(h));
    if (!h->expire.at)
        timer_set(&h->expire, HISTORY_MS);
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
