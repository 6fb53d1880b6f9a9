/* control/event.c - one request as a line of JSON, and whether a filter takes it */
#include "control/event.h"

#include "base/own.h"
#include "base/rfc3339.h"
#include "base/utf8.h"
#include "catalog/service.h"
#include "control/redact.h"

static bool is_named(const struct request_event *e, const char *name)
{
    const struct name *n = e->name;
    struct str wanted = str_of(name), service;
    struct str ns = str_cut(wanted, '.', &service);

    if (str_ieq(wanted, e->host))
        return true;
    return str_ieq(service, n->service) && (!ns.at || str_ieq(ns, n->ns));
}

bool event_matches(const struct request_event *e, const struct reader_filter *f)
{
    if (f->status && e->status != f->status)
        return false;
    if (f->class && e->status / 100 != f->class)
        return false;
    if (e->times.total < f->slow_ms)
        return false;
    return !f->name || is_named(e, f->name);
}

/* --- the line --- */

static void put_raw(void *owner, struct str piece)
{
    json_out_raw(owner, piece);
}

/* The value in the middle of a string: json_out_string without quotes. */
static void put_piece(void *owner, struct str piece)
{
    struct json_out *o = owner;
    size_t begin = o->len;

    json_out_string(o, piece);
    memmove(o->at + begin, o->at + begin + 1, o->len - begin - 2);
    o->len -= 2;
}

static void put_path(struct json_out *o, struct str path, bool queries)
{
    put_raw(o, STR("\""));
    redact_path(path, queries, put_piece, o);
    put_raw(o, STR("\""));
}

static void put_id(struct json_out *o, struct log_id id)
{
    char room[48];
    size_t len = log_id_text(id, room);

    json_out_string(o, (struct str){ room, len });
}

static void put_value(struct json_out *o, struct str name, struct str value, bool queries)
{
    if (redact_is_secret(name))
        json_out_string(o, STR(REDACTED));
    else if (redact_has_url(name))
        put_path(o, value, queries);
    else
        json_out_string(o, value);
}

static void put_header(struct json_out *o, struct str name, struct str value,
                       bool queries, bool first)
{
    put_raw(o, first ? STR("[") : STR(",["));
    json_out_string(o, name);
    put_raw(o, STR(","));
    put_value(o, name, value, queries);
    put_raw(o, STR("]"));
}

static void put_request_headers(struct json_out *o, const struct http1_head *head,
                                bool queries)
{
    put_raw(o, STR(",\"requestHeaders\":["));
    for (size_t i = 0; i < head->count; i++)
        put_header(o, head->fields[i].name, head->fields[i].value, queries, i == 0);
    put_raw(o, STR("]"));
}

static void put_response_headers(struct json_out *o, struct str lines, bool queries)
{
    bool first = true;

    put_raw(o, STR(",\"responseHeaders\":["));
    while (!str_empty(lines)) {
        struct str line, name;
        lines = str_cut(lines, '\n', &line);
        struct str value = str_cut(line, ':', &name);
        put_header(o, name, str_trim_space(value), queries, first);
        first = false;
    }
    put_raw(o, STR("]"));
}

static bool is_utf8(struct str text)
{
    while (text.len) {
        size_t n = utf8_length(text.at, text.len);
        if (!n || text.at[0] == '\0')
            return false;
        text = str_skip(text, n);
    }
    return true;
}

/* The payload of chunks, in place; what is not chunks ends it. */
static size_t strip_chunks(char *at, size_t len)
{
    struct http1_chunked c = { .answer = true };
    size_t from = 0, to = 0;
    struct http1_piece piece;

    while (from < len &&
           !http1_chunked_decode(&c, (const uint8_t *)at + from, len - from, &piece)) {
        from += piece.dropped + piece.framing;
        memmove(at + to, at + from, piece.payload);
        from += piece.payload;
        to += piece.payload;
        if (piece.done)
            break;
    }
    return to;
}

static void put_body(struct json_out *o, struct str key, const struct body_copy *b,
                     bool chunked)
{
    if (!b || !b->len)
        return;
    AUTO_FREE char *copy = xmalloc(b->len);
    memcpy(copy, b->at, b->len);
    struct str body = { copy, chunked ? strip_chunks(copy, b->len) : b->len };
    bool text = is_utf8(body);

    put_raw(o, STR(",\""));
    put_raw(o, key);
    put_raw(o, text ? STR("\":{\"text\":") : STR("\":{\"base64\":"));
    if (text)
        json_out_string(o, body);
    else
        json_out_base64(o, body);
    put_raw(o, b->cut ? STR(",\"cut\":true}") : STR("}"));
}

static void put_route(struct json_out *o, const struct request_event *e)
{
    const struct name *n = e->name;

    if (n->kind != NAME_INVALID && n->kind != NAME_OWN && !str_empty(n->service)) {
        json_out_field(o, "service", n->service);
        json_out_field(o, "namespace", n->ns);
    }
    if (e->endpoint) {
        json_out_field(o, "pod", str_of(e->endpoint->pod));
        json_out_field(o, "podNamespace", str_of(e->endpoint->ns));
        json_out_count(o, "podPort", e->pod_port);
    }
    if (e->via.kind) {
        put_raw(o, STR(",\"via\":"));
        put_id(o, e->via);
    }
}

static void put_times(struct json_out *o, const struct request_times *t)
{
    put_raw(o, STR(",\"ms\":{\"total\":"));
    json_out_number(o, t->total);
    json_out_count(o, "head", t->head);
    json_out_count(o, "lookup", t->lookup);
    json_out_count(o, "wait", t->wait);
    json_out_count(o, "dial", t->dial);
    json_out_count(o, "pod", t->pod);
    json_out_count(o, "transfer", t->transfer);
    put_raw(o, STR("}"));
}

static void put_messages(struct json_out *o, const struct request_event *e,
                         const struct reader_filter *f)
{
    if (f->heads) {
        put_request_headers(o, e->request, f->queries);
        put_response_headers(o, e->response_head, f->queries);
    }
    if (f->bodies && e->request_body) {
        put_body(o, STR("requestBody"), e->request_body,
                 e->request->framing == BODY_CHUNKED);
        put_body(o, STR("responseBody"), e->response_body, e->response_body->chunked);
    }
}

void event_write(const struct request_event *e, const struct reader_filter *f,
                 struct json_out *o)
{
    json_out_clear(o);
    put_raw(o, STR("{\"type\":\"request\",\"id\":"));
    put_id(o, e->id);
    json_out_count(o, "at", (uint64_t)wall_clock_ms() - e->times.total);
    json_out_field(o, "client", str_of(e->client));
    json_out_field(o, "protocol", e->http2 ? STR("HTTP/2") : STR("HTTP/1"));
    json_out_field(o, "method", e->request->method);
    json_out_field(o, "host", e->host);
    put_raw(o, STR(",\"path\":"));
    put_path(o, e->path, f->queries);
    json_out_count(o, "status", (uint64_t)e->status);
    json_out_count(o, "bytesIn", e->bytes_in);
    json_out_count(o, "bytesOut", e->bytes_out);
    json_out_count(o, "attempts", e->attempts);
    put_raw(o, e->reused ? STR(",\"reused\":true") : STR(",\"reused\":false"));
    put_raw(o, e->own ? STR(",\"own\":true") : STR(",\"own\":false"));
    put_route(o, e);
    put_times(o, &e->times);
    put_messages(o, e, f);
    put_raw(o, STR("}\n"));
}
