#include "bench/load/call.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/str.h"

#define MESSAGE_HEAD 5 /* of a message of gRPC: flags and length */

struct call {
    const char *authority, *path;
    nghttp2_session *session;
    char *out;
    size_t len, room;
    bool ok, accepted, closed; /* of the call under way */
};

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *owner)
{
    struct call *c = owner;
    struct str field = { (const char *)name, name_len };
    struct str text = { (const char *)value, value_len };

    (void)session, (void)frame, (void)flags;
    if (str_eq(field, STR(":status")))
        c->ok = str_eq(text, STR("200"));
    if (str_eq(field, STR("grpc-status")))
        c->accepted = str_eq(text, STR("0"));
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *owner)
{
    struct call *c = owner;

    (void)session, (void)id;
    c->closed = true;
    c->ok &= code == NGHTTP2_NO_ERROR;
    return 0;
}

static ssize_t on_source_read(nghttp2_session *session, int32_t id, uint8_t *buffer,
                              size_t room, uint32_t *flags, nghttp2_data_source *source,
                              void *owner)
{
    (void)session, (void)id, (void)room, (void)source, (void)owner;
    memset(buffer, 0, MESSAGE_HEAD);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return MESSAGE_HEAD;
}

struct call *call_create(const char *authority, const char *path)
{
    struct call *c = xcalloc(1, sizeof(*c));
    nghttp2_session_callbacks *callbacks;

    c->authority = authority;
    c->path = path;
    if (nghttp2_session_callbacks_new(&callbacks))
        abort();
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    if (nghttp2_session_client_new(&c->session, callbacks, c))
        abort();
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0);
    return c;
}

void call_destroy(struct call *c)
{
    if (!c)
        return;
    nghttp2_session_del(c->session);
    free(c->out);
    free(c);
}

static void keep_output(struct call *c, const uint8_t *bytes, size_t n)
{
    if (c->room - c->len < n) {
        c->room = c->len + n + 1024;
        c->out = xrealloc(c->out, c->room);
    }
    memcpy(c->out + c->len, bytes, n);
    c->len += n;
}

static nghttp2_nv field_of(const char *name, const char *value)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value,
                         strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE };
}

const char *call_begin(struct call *c, size_t *ret_len)
{
    const nghttp2_nv fields[] = {
        field_of(":method", "POST"),     field_of(":scheme", "http"),
        field_of(":path", c->path),      field_of(":authority", c->authority),
        field_of("te", "trailers"),      field_of("content-type", "application/grpc"),
        field_of("user-agent", "bench"),
    };
    const nghttp2_data_provider source = { .read_callback = on_source_read };
    const uint8_t *bytes;
    ssize_t n;

    c->ok = c->accepted = c->closed = false;
    c->len = 0;
    nghttp2_submit_request(c->session, NULL, fields, ARRAY_LEN(fields), &source, NULL);
    while ((n = nghttp2_session_mem_send(c->session, &bytes)) > 0)
        keep_output(c, bytes, (size_t)n);
    *ret_len = c->len;
    return c->out;
}

enum err call_feed(struct call *c, const char *bytes, size_t n)
{
    if (nghttp2_session_mem_recv(c->session, (const uint8_t *)bytes, n) < 0)
        return ERR_PROTO;
    if (!c->closed)
        return ERR_AGAIN;
    return c->ok && c->accepted ? OK : ERR_PROTO;
}
