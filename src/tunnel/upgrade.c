#include "tunnel/upgrade.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "wire/http1.h"

#define FIELDS_MAX 256 /* header fields of the response */

static const char spdy_fields[] = "Content-Length: 0\r\n"
                                  "Connection: Upgrade\r\n"
                                  "Upgrade: SPDY/3.1\r\n"
                                  "X-Stream-Protocol-Version: portforward.k8s.io\r\n";
static const char websocket_fields[] =
    "Connection: Upgrade\r\n"
    "Upgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n"
    "Sec-WebSocket-Key: ";

static void put(struct bufq *out, const char *text)
{
    bufq_write(out, text, strlen(text));
}

/* A segment of a path (RFC 3986, 3.3).  The API server does not check the names of pods in an
 * EndpointSlice: none may end the request line, or add a segment or a query. */
static void put_segment(struct bufq *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (isalnum((unsigned char)*c) || strchr("-._~:", *c)) {
            bufq_write(out, c, 1);
            continue;
        }
        char escaped[4];
        snprintf(escaped, sizeof(escaped), "%%%02X", (unsigned)(unsigned char)*c);
        put(out, escaped);
    }
}

void upgrade_request_write(const struct upgrade_request *r, struct bufq *out)
{
    bool spdy = r->transport == TRANSPORT_KIND_SPDY;
    put(out, spdy ? "POST " : "GET ");
    put(out, r->prefix);
    put(out, "/api/v1/namespaces/");
    put_segment(out, r->ns);
    put(out, "/pods/");
    put_segment(out, r->pod);
    put(out, "/portforward HTTP/1.1\r\nHost: ");
    put(out, r->host);
    put(out, "\r\nUser-Agent: kube-tunnel/" VERSION "\r\n");
    for (char *const *field = r->fields; *field; field++) {
        put(out, *field);
        put(out, "\r\n");
    }
    put(out, spdy ? spdy_fields : websocket_fields);
    if (!spdy) {
        put(out, r->key);
        put(out, "\r\n");
    }
    put(out, "\r\n");
}

static const struct http1_field *find_named(const struct http1_head *head,
                                            struct str name)
{
    for (size_t i = 0; i < head->count; i++)
        if (str_ieq(head->fields[i].name, name))
            return &head->fields[i];
    return NULL;
}

static enum err protocol_error(struct api_error *ret, const char *why)
{
    ret->code = ERR_UPGRADE;
    return diag_set(&ret->why, ERR_UPGRADE, "%s", why);
}

static bool has_value(const struct http1_head *head, const char *name, const char *value)
{
    const struct http1_field *f = find_named(head, str_of(name));
    return f && str_eq(f->value, str_of(value));
}

/* Check that a 101 switches to the requested protocol.  Sec-WebSocket-Accept is not checked: it
 * protects against caches that do not know WebSocket, and this connection uses verified TLS. */
static enum err check_switch(const struct http1_head *head, enum transport transport,
                             struct api_error *ret)
{
    bool spdy = transport == TRANSPORT_KIND_SPDY;
    const char *protocol = spdy ? "portforward.k8s.io" : "SPDY/3.1+portforward.k8s.io";
    const char *field = spdy ? "X-Stream-Protocol-Version" : "Sec-WebSocket-Protocol";

    if (!http1_has_token(head, FIELD_CONNECTION, STR("upgrade")) ||
        !http1_has_token(head, FIELD_UPGRADE, spdy ? STR("SPDY/3.1") : STR("websocket")))
        return protocol_error(
            ret, "the API server switched to a protocol that was not requested");
    if (!has_value(head, field, protocol))
        return protocol_error(ret,
                              "the API server did not choose the port-forward protocol");
    return OK;
}

bool upgrade_refused_transport(const struct api_error *e)
{
    switch (e->status) {
    case 400:
    case 405:
    case 426:
    case 501:
        return true;
    case 403:
        return e->is_status;
    case 404:
        return !e->is_status;
    default:
        return e->status >= 200 && e->status < 400;
    }
}

bool upgrade_refusal_is_general(const struct api_error *e)
{
    return upgrade_refused_transport(e) && e->status != 403 && e->status != 404;
}

static uint32_t retry_after(const struct http1_head *head)
{
    const struct http1_field *f = http1_find(head, FIELD_RETRY_AFTER);
    uint64_t seconds = 0;
    if (f && str_to_uint(f->value, UINT32_MAX, &seconds))
        seconds = 0;
    return (uint32_t)seconds;
}

/* Decode the chunked coding in place; true: the body is complete. */
static bool unchunk(char *bytes, struct str *body)
{
    struct http1_chunked chunked = { .answer = true };
    struct http1_piece piece = { 0 };
    size_t at = 0, len = 0;

    while (!piece.done && !http1_chunked_decode(&chunked, (const uint8_t *)bytes + at,
                                                body->len - at, &piece)) {
        at += piece.dropped + piece.framing;
        memmove(bytes + len, bytes + at, piece.payload);
        at += piece.payload;
        len += piece.payload;
    }
    *body = (struct str){ bytes, len };
    return piece.done || chunked.problem;
}

/* Is the body complete?  *body is cut to its length. */
static bool take_body(const struct http1_head *head, char *bytes, struct str *body)
{
    switch (head->framing) {
    case BODY_NONE:
        *body = str_first(*body, 0);
        return true;
    case BODY_LENGTH:
        *body = str_first(*body, (size_t)head->length);
        return body->len == head->length;
    case BODY_CHUNKED:
        return unchunk(bytes, body);
    case BODY_TO_EOF:
    case BODY_TO_END:
        break;
    }
    return false;
}

/* Parse a refusal.  ERR_AGAIN until the body is complete; `enough`: do not wait for more. */
static enum err refused(const struct http1_head *head, char *bytes, size_t len,
                        bool enough, struct api_error *ret)
{
    struct str body = { bytes, len };

    if (!take_body(head, bytes, &body) && !enough)
        return ERR_AGAIN;
    const struct http1_field *location = find_named(head, STR("Location"));
    api_error_from_response(
        ret, &(struct api_response){ .status = head->status,
                                     .retry_after = retry_after(head),
                                     .body = body,
                                     .location = location ? location->value : STR("") });
    return ret->code ? ret->code
                     : protocol_error(ret, "the API server did not switch protocols");
}

static enum err parse(char *text, size_t len, size_t head_len, bool eof,
                      enum transport transport, struct api_error *ret)
{
    bool enough = eof || len == UPGRADE_RESPONSE_MAX;
    AUTO_FREE struct http1_field *fields = xcalloc(FIELDS_MAX, sizeof(*fields));
    struct http1_head head = { .fields = fields, .room = FIELDS_MAX };
    enum err e = http1_response_parse(text, head_len, STR("POST"), &head);
    if (e)
        return protocol_error(ret, head.problem ? head.problem : "not an HTTP answer");
    if (head.status == 101)
        return check_switch(&head, transport, ret);
    return refused(&head, text + head_len, len - head_len, enough, ret);
}

enum err upgrade_response_read(struct bufq *in, bool eof, enum transport transport,
                               struct api_error *ret)
{
    size_t len = in->len < UPGRADE_RESPONSE_MAX ? in->len : UPGRADE_RESPONSE_MAX;
    AUTO_FREE char *text = xmalloc(len);
    size_t scanned = 0, head_len = 0;

    bufq_copy(in, 0, text, len);
    enum err e = http1_head_end(text, len, &scanned, &head_len);
    if (e == ERR_AGAIN && len == UPGRADE_RESPONSE_MAX)
        return protocol_error(ret, "the API server's answer has an endless head");
    if (!e)
        e = parse(text, len, head_len, eof, transport, ret);
    if (!e)
        bufq_skip(in, head_len);
    if (e == ERR_AGAIN && eof) {
        ret->code = ERR_EOF;
        e = diag_set(&ret->why, ERR_EOF, "the API server closed the connection");
    }
    return e;
}
