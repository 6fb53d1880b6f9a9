/* control/event.c - one request, or raw connection, as a line of JSON, and whether a filter
 * takes it */
#include "control/event.h"

#include "base/own.h"
#include "base/rfc3339.h"
#include "base/utf8.h"
#include "catalog/service.h"
#include "control/redact.h"

static bool is_named(const struct name *n, struct str host, const char *name)
{
    struct str wanted = str_of(name), service;
    struct str ns = str_cut(wanted, '.', &service);

    if (str_ieq(wanted, host))
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
    return !f->name || is_named(e->name, e->host, f->name);
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

static void put_value(struct json_out *o, struct str name, struct str value, bool queries)
{
    if (redact_is_secret(name))
        json_out_string(o, STR(REDACTED));
    else if (redact_has_url(name, value))
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

/* --- the part that each event has: written at once, because it is written most --- */

/* "s41.3" */
static char *put_id(char *to, struct log_id id)
{
    *to++ = '"';
    *to++ = id.kind;
    to = json_put_number(to, id.number);
    if (id.sub) {
        *to++ = '.';
        to = json_put_number(to, id.sub);
    }
    *to++ = '"';
    return to;
}

static char *put_route(char *to, const struct name *n, const struct endpoint *e)
{
    if (n->kind != NAME_INVALID && n->kind != NAME_OWN && !str_empty(n->service)) {
        to = json_put(to, ",\"service\":");
        to = json_put_string(to, n->service);
        to = json_put(to, ",\"namespace\":");
        to = json_put_string(to, n->ns);
    }
    if (e) {
        to = json_put(to, ",\"pod\":");
        to = json_put_string(to, str_of(e->pod));
        if (!str_eq(str_of(e->ns), n->ns)) {
            to = json_put(to, ",\"podNamespace\":");
            to = json_put_string(to, str_of(e->ns));
        }
    }
    return to;
}

static char *put_connection(char *to, const struct endpoint *e, uint16_t port,
                            struct log_id via)
{
    if (e) {
        to = json_put(to, ",\"podPort\":");
        to = json_put_number(to, port);
    }
    if (via.kind) {
        to = json_put(to, ",\"via\":");
        to = put_id(to, via);
    }
    return to;
}

/* A phase that took no time is left out. */
static char *put_times(char *to, const struct request_times *t)
{
    to = json_put(to, ",\"ms\":{\"total\":");
    to = json_put_number(to, t->total);
#define PHASE(name)                                                                      \
    if (t->name) {                                                                       \
        to = json_put(to, ",\"" #name "\":");                                            \
        to = json_put_number(to, t->name);                                               \
    }
    PHASE(head)
    PHASE(lookup)
    PHASE(wait)
    PHASE(dial)
    PHASE(pod)
    PHASE(transfer)
#undef PHASE
    return json_put(to, "}");
}

static char *put_answered(char *to, uint64_t bytes_out, unsigned attempts)
{
    to = json_put(to, ",\"bytesOut\":");
    to = json_put_number(to, bytes_out);
    if (attempts > 1) {
        to = json_put(to, ",\"attempts\":");
        to = json_put_number(to, attempts);
    }
    return to;
}

static char *put_counts(char *to, const struct request_event *e)
{
    to = json_put(to, ",\"status\":");
    to = json_put_number(to, (uint64_t)e->status);
    if (e->bytes_in) {
        to = json_put(to, ",\"bytesIn\":");
        to = json_put_number(to, e->bytes_in);
    }
    to = put_answered(to, e->bytes_out, e->attempts);
    if (e->reused)
        to = json_put(to, ",\"reused\":true");
    if (e->own)
        to = json_put(to, ",\"own\":true");
    return to;
}

static char *put_begin(char *to, const struct request_event *e, uint64_t now_ms)
{
    to = json_put(to, "{\"type\":\"request\",\"id\":");
    to = put_id(to, e->id);
    to = json_put(to, ",\"at\":");
    to = json_put_number(to, now_ms - e->times.total);
    to = json_put(to, ",\"client\":");
    to = json_put_string(to, str_of(e->client));
    if (e->http2)
        to = json_put(to, ",\"protocol\":\"HTTP/2\"");
    to = json_put(to, ",\"method\":");
    to = json_put_string(to, e->request->method);
    to = json_put(to, ",\"host\":");
    return json_put_string(to, e->host);
}

/* Room for all but header fields and bodies.  Other texts than these are names of Kubernetes
 * and addresses: at most 253 bytes. */
static size_t room_for(const struct request_event *e)
{
    size_t given = e->request->method.len + e->host.len + e->path.len;

    return JSON_STRING_ROOM(given + 6 * 253) + 1024;
}

void event_write(const struct request_event *e, const struct reader_filter *f,
                 uint64_t now_ms, struct json_out *o)
{
    json_out_clear(o);
    char *begin = json_out_reserve(o, room_for(e));
    char *to = put_begin(begin, e, now_ms);
    to = put_counts(to, e);
    to = put_route(to, e->name, e->endpoint);
    to = put_times(to, &e->times);
    if (f->heads)
        to = put_connection(to, e->endpoint, e->pod_port, e->via);
    to = json_put(to, ",\"path\":");
    bool redacted = redact_changes(e->path);
    if (!redacted)
        to = json_put_string(to, e->path);
    o->len = (size_t)(to - begin);
    if (redacted)
        put_path(o, e->path, f->queries);
    put_messages(o, e, f);
    json_out_raw(o, STR("}\n"));
}

/* --- a raw connection --- */

bool event_matches_connection(const struct connection_event *e,
                              const struct reader_filter *f)
{
    if (f->status || f->class || e->times.total < f->slow_ms)
        return false;
    return !f->name || is_named(e->name, e->host, f->name);
}

static const char *end_text(enum connection_end end)
{
    static const char *const texts[] = {
        [END_CLOSED] = "closed",
        [END_LEFT] = "left",
        [END_RESET] = "reset",
        [END_FAILED] = "failed",
    };
    return texts[end];
}

static char *put_end(char *to, const struct connection_event *e)
{
    to = json_put(to, ",\"end\":");
    to = json_put_string(to, str_of(end_text(e->end)));
    if (e->reason) {
        to = json_put(to, ",\"reason\":");
        to = json_put_string(to, str_of(e->reason));
    }
    to = json_put(to, ",\"bytesIn\":");
    to = json_put_number(to, e->bytes_in);
    to = put_answered(to, e->bytes_out, e->attempts);
    return to;
}

void event_write_connection(const struct connection_event *e,
                            const struct reader_filter *f, uint64_t now_ms,
                            struct json_out *o)
{
    size_t texts = e->host.len + (e->reason ? strlen(e->reason) : 0) + 6 * 253;

    json_out_clear(o);
    char *begin = json_out_reserve(o, JSON_STRING_ROOM(texts) + 1024);
    char *to = json_put(begin, "{\"type\":\"connection\",\"id\":");
    to = put_id(to, e->id);
    to = json_put(to, ",\"at\":");
    to = json_put_number(to, now_ms - e->times.total);
    to = json_put(to, ",\"client\":");
    to = json_put_string(to, str_of(e->client));
    to = json_put(to, ",\"host\":");
    to = json_put_string(to, e->host);
    to = put_end(to, e);
    to = put_route(to, e->name, e->endpoint);
    to = put_times(to, &e->times);
    if (f->heads)
        to = put_connection(to, e->endpoint, e->pod_port, e->via);
    to = json_put(to, "}\n");
    o->len = (size_t)(to - begin);
}
