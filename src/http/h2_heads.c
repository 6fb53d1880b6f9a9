/* http/h2_heads.c - heads: decoded fields into the text of HTTP/1, parsed heads into fields
 *
 * The text begins with a start line, made of the pseudo-header fields, which come before all
 * others (RFC 9113, section 8.3; nghttp2 checks it and the characters of all).  The fields
 * follow as lines in the order in which they came.  :authority is Host, and a Host beside it
 * is left out; the parts of a Cookie become one (section 8.2.3).  An extended CONNECT (RFC
 * 8441) is written as the upgrade request that it stands for.
 */
#include <ctype.h>

#include "base/own.h"
#include "http/h2_private.h"
#include "http/websocket_key.h"

#define LINE_OVERHEAD 4 /* ": " and CRLF */

static const struct {
    const char *name;
    enum h2_pseudo which;
} pseudos[] = {
    { ":method", PSEUDO_METHOD }, { ":scheme", PSEUDO_SCHEME },
    { ":path", PSEUDO_PATH },     { ":authority", PSEUDO_AUTHORITY },
    { ":status", PSEUDO_STATUS }, { ":protocol", PSEUDO_PROTOCOL },
};

static void put(struct h2_stream *s, struct str text)
{
    head_text_put(s->head.trailers ? &s->trailers : &s->text, s->settings->pool, text);
}

static struct str pseudo(const struct h2_head *h, enum h2_pseudo which)
{
    return (struct str){ h->pseudo.at + h->of[which].at, h->of[which].len };
}

void h2_head_begin(struct h2_stream *s, bool trailers)
{
    struct h2_head *h = &s->head;

    head_text_clear(&h->pseudo);
    memset(h->of, 0, sizeof(h->of));
    h->started = h->trailers = trailers;
    h->too_large = false;
    h->status = 0;
    h->cookie_end = 0;
    if (!trailers && s->taken == s->text.len) {
        head_text_clear(&s->text);
        s->taken = s->scanned = 0;
    }
}

/* ---- start lines ---- */

static void put_line(struct h2_stream *s, struct str name, struct str value)
{
    put(s, name);
    put(s, STR(": "));
    put(s, value);
    put(s, STR("\r\n"));
}

/* What a WebSocket's opening handshake has in HTTP/1 and not in HTTP/2. */
static void put_upgrade(struct h2_stream *s)
{
    char key[WEBSOCKET_KEY_LEN + 1];

    put_line(s, STR("connection"), STR("Upgrade"));
    put_line(s, STR("upgrade"), pseudo(&s->head, PSEUDO_PROTOCOL));
    if (!str_ieq(pseudo(&s->head, PSEUDO_PROTOCOL), STR("websocket")))
        return;
    websocket_key(s->settings->sched, key);
    put_line(s, STR("sec-websocket-key"), str_of(key));
}

/* The answer to an extended CONNECT as that to an upgrade request. */
static void put_switch(struct h2_stream *s)
{
    put(s, STR("HTTP/1.1 101 Switching Protocols\r\n"));
    put_line(s, STR("Connection"), STR("Upgrade"));
    if (!s->accept)
        return;
    put_line(s, STR("Upgrade"), STR("websocket"));
    put_line(s, STR("Sec-WebSocket-Accept"), str_of(s->accept));
}

static void put_request_line(struct h2_stream *s)
{
    const struct h2_head *h = &s->head;
    struct str authority = pseudo(h, PSEUDO_AUTHORITY);

    s->upgrade = h->of[PSEUDO_PROTOCOL].given;
    s->connect = str_eq(pseudo(h, PSEUDO_METHOD), STR("CONNECT"));
    put(s, s->upgrade ? STR("GET") : pseudo(h, PSEUDO_METHOD));
    put(s, STR(" "));
    put(s, h->of[PSEUDO_PATH].given ? pseudo(h, PSEUDO_PATH) : authority);
    put(s, STR(" HTTP/1.1\r\n"));
    if (h->of[PSEUDO_AUTHORITY].given)
        put_line(s, STR("host"), authority);
    if (s->upgrade)
        put_upgrade(s);
}

static void put_status_line(struct h2_stream *s)
{
    struct str status = pseudo(&s->head, PSEUDO_STATUS);
    uint64_t code = 0;
    bool is_number = !str_to_uint(status, 999, &code);

    s->head.status = (int)code;
    if (s->upgrade && code / 100 == 2) {
        put_switch(s);
        return;
    }
    put(s, STR("HTTP/1.1 "));
    put(s, status);
    put(s, STR(" "));
    if (is_number)
        put(s, str_of(http1_reason((int)code)));
    put(s, STR("\r\n"));
}

static void start(struct h2_stream *s)
{
    if (s->head.started)
        return;
    s->head.started = true;
    if (s->server)
        put_request_line(s);
    else
        put_status_line(s);
}

/* ---- fields ---- */

static void add_pseudo(struct h2_stream *s, struct str name, struct str value)
{
    struct h2_head *h = &s->head;

    for (size_t i = 0; i < ARRAY_LEN(pseudos); i++) {
        if (!str_eq(name, str_of(pseudos[i].name)))
            continue;
        h->of[pseudos[i].which].at = h->pseudo.len;
        h->of[pseudos[i].which].len = value.len;
        h->of[pseudos[i].which].given = true;
        head_text_put(&h->pseudo, s->settings->pool, value);
    }
}

static void add_cookie(struct h2_stream *s, struct str name, struct str value)
{
    struct h2_head *h = &s->head;

    if (!h->cookie_end) {
        put_line(s, name, value);
        h->cookie_end = s->text.len - 2;
        return;
    }
    head_text_insert(&s->text, h->cookie_end, STR("; "));
    head_text_insert(&s->text, h->cookie_end + 2, value);
    h->cookie_end += 2 + value.len;
}

/* Bytes without a length follow a request for another protocol, and the answer that accepts
 * it.  A refusal has a body. */
static bool is_of_switch(const struct h2_stream *s)
{
    return s->upgrade && s->head.status < 300;
}

static bool is_left_out(const struct h2_stream *s, struct str name)
{
    const struct h2_head *h = &s->head;

    if (s->upgrade && str_eq(name, STR("sec-websocket-key")))
        return true;
    if (is_of_switch(s) && str_eq(name, STR("content-length")))
        return true;
    return !h->trailers && h->of[PSEUDO_AUTHORITY].given && str_eq(name, STR("host"));
}

void h2_head_add(struct h2_stream *s, struct str name, struct str value)
{
    struct h2_head *h = &s->head;
    size_t kept = h->pseudo.len + s->text.len + s->trailers.len;

    if (kept + name.len + value.len + LINE_OVERHEAD > s->settings->max_head_size)
        h->too_large = true;
    if (h->too_large)
        return;
    if (name.len && name.at[0] == ':') {
        add_pseudo(s, name, value);
        return;
    }
    start(s);
    if (is_left_out(s, name))
        return;
    if (!h->trailers && str_eq(name, STR("cookie")))
        add_cookie(s, name, value);
    else
        put_line(s, name, value);
}

void h2_head_finish(struct h2_stream *s)
{
    start(s);
    if (!s->head.trailers)
        put(s, STR("\r\n"));
}

/* ---- parsed heads into fields ---- */

static void room_for(struct h2_connection *c, size_t count, size_t names)
{
    if (c->field_room < count) {
        c->field_room = count;
        c->fields = xrealloc(c->fields, count * sizeof(*c->fields));
    }
    head_text_clear(&c->names);
    head_text_reserve(&c->names, c->settings->pool, names);
}

/* Names from HTTP/1 have any case. */
static struct str lower(struct h2_connection *c, struct str name)
{
    char *at = c->names.at + c->names.len;

    for (size_t i = 0; i < name.len; i++)
        at[i] = (char)tolower((unsigned char)name.at[i]);
    c->names.len += name.len;
    return (struct str){ at, name.len };
}

static size_t add(struct h2_connection *c, size_t n, struct str name, struct str value,
                  bool secret)
{
    c->fields[n] = (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.at,
        .namelen = name.len,
        .value = (uint8_t *)(uintptr_t)value.at,
        .valuelen = value.len,
        .flags = secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE,
    };
    return n + 1;
}

#define FIELDS_OWN 9 /* pseudo-header fields, te, forwarded, traceparent */

static size_t names_length(const struct http1_head *head)
{
    size_t len = 0;

    for (size_t i = 0; i < head->count; i++)
        len += head->fields[i].name.len;
    return len;
}

/* A secret of one request must not be found out by the size of another one. */
static bool is_secret(const struct http1_field *f)
{
    return f->id == FIELD_AUTHORIZATION;
}

bool h2_is_upgrade(const struct http1_head *head)
{
    if (!head->upgrade)
        return false;
    const struct http1_field *upgrade = http1_find(head, FIELD_UPGRADE);
    return upgrade && !str_ieq(upgrade->value, STR("h2c"));
}

/* Of an upgrade, which HTTP/2 has in a form of its own. */
static bool is_of_handshake(const struct http1_head *head, const struct http1_field *f)
{
    if (head->status)
        return head->status == 101 && str_ieq(f->name, STR("sec-websocket-accept"));
    return h2_is_upgrade(head) &&
           (f->id == FIELD_CONTENT_LENGTH || str_ieq(f->name, STR("sec-websocket-key")));
}

static size_t add_fields(struct h2_connection *c, size_t n, const struct http1_head *head)
{
    for (size_t i = 0; i < head->count; i++) {
        const struct http1_field *f = &head->fields[i];
        if (!f->hop && f->id != FIELD_HOST && !is_of_handshake(head, f))
            n = add(c, n, lower(c, f->name), f->value, is_secret(f));
    }
    return n;
}

size_t h2_request_fields(struct h2_connection *c, const struct http1_head *head,
                         const struct request_form *form)
{
    struct str authority = form->authority.at ? form->authority
                           : head->host       ? head->host->value
                                              : STR("");
    const struct http1_field *upgrade =
        h2_is_upgrade(head) ? http1_find(head, FIELD_UPGRADE) : NULL;
    size_t own = form->path.len + 1 + (upgrade ? upgrade->value.len : 0);

    room_for(c, head->count + FIELDS_OWN, names_length(head) + own);
    size_t n = 0;
    if (upgrade) {
        n = add(c, n, STR(":method"), STR("CONNECT"), false);
        n = add(c, n, STR(":protocol"), lower(c, upgrade->value), false);
    } else {
        n = add(c, n, STR(":method"), head->method, false);
    }
    n = add(c, n, STR(":scheme"), STR("http"), false);
    n = add(c, n, STR(":authority"), authority, false);
    struct str path = { c->names.at + c->names.len, form->path.len + form->add_slash };
    if (form->add_slash)
        lower(c, STR("/"));
    memcpy(c->names.at + c->names.len, form->path.at, form->path.len);
    c->names.len += form->path.len;
    n = add(c, n, STR(":path"), path, false);
    n = add_fields(c, n, head);
    if (http1_has_token(head, FIELD_TE, STR("trailers")))
        n = add(c, n, STR("te"), STR("trailers"), false);
    if (form->tls)
        n = add(c, n, STR("x-forwarded-proto"), STR("https"), false);
    if (form->forwarded)
        n = add(c, n, STR("forwarded"), *form->forwarded, false);
    if (form->trace.len)
        n = add(c, n, STR("traceparent"), form->trace, false);
    return n;
}

size_t h2_answer_fields(struct h2_connection *c, const struct http1_head *head,
                        int status)
{
    room_for(c, head->count + FIELDS_OWN, names_length(head) + 3);
    char *digits = c->names.at;
    digits[0] = (char)('0' + status / 100);
    digits[1] = (char)('0' + status / 10 % 10);
    digits[2] = (char)('0' + status % 10);
    c->names.len = 3;
    size_t n = add(c, 0, STR(":status"), (struct str){ digits, 3 }, false);
    return add_fields(c, n, head);
}

/* These mean something about the connection or the message, and so nothing after it. */
static bool is_framing(struct str name)
{
    static const char *const names[] = { "connection",       "keep-alive",
                                         "proxy-connection", "transfer-encoding",
                                         "upgrade",          "host",
                                         "content-length",   "te",
                                         "trailer" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq(name, str_of(names[i])))
            return true;
    return name.at[0] == ':';
}

static size_t count_lines(struct str lines)
{
    size_t n = 0;

    for (size_t i = 0; i < lines.len; i++)
        n += lines.at[i] == '\n';
    return n;
}

size_t h2_trailer_fields(struct h2_connection *c, struct str lines)
{
    size_t n = 0;

    room_for(c, count_lines(lines) + 1, lines.len);
    while (!str_empty(lines)) {
        struct str line, name;
        lines = str_cut(lines, '\n', &line);
        struct str value = str_trim_space(str_cut(line, ':', &name));
        if (name.len && !is_framing(name))
            n = add(c, n, lower(c, name), value, false);
    }
    return n;
}
