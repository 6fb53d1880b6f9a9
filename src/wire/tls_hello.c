/* wire/tls_hello.c - the ClientHello that begins a TLS connection
 *
 * Its bytes are gathered from the records that hold them, then read as nested vectors.
 */
#include "wire/tls_hello.h"

enum {
    RECORD_HANDSHAKE = 22,
    RECORD_HEAD = 5,
    RECORD_MAX = 16 * 1024,
    MESSAGE_CLIENT_HELLO = 1,
    MESSAGE_HEAD = 4,
    VERSION_SIZE = 2,
    RANDOM_SIZE = 32,
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_ALPN = 16,
    EXTENSION_ECH = 0xfe0d, /* draft-ietf-tls-esni */
    NAME_HOST = 0,
};

/* The unread rest of a vector (RFC 8446, section 3.4). */
struct vector {
    const uint8_t *at;
    size_t len;
    bool damaged; /* a length exceeds the vector around it */
};

static uint32_t number_at(const uint8_t *in, size_t size)
{
    uint32_t n = 0;

    for (size_t i = 0; i < size; i++)
        n = n << 8 | in[i];
    return n;
}

static struct vector take_bytes(struct vector *v, size_t n)
{
    struct vector taken = { v->at, n, false };

    if (n > v->len || v->damaged) {
        v->damaged = true;
        return (struct vector){ v->at, 0, true };
    }
    v->at += n;
    v->len -= n;
    return taken;
}

static uint32_t take_number(struct vector *v, size_t size)
{
    struct vector n = take_bytes(v, size);

    return n.damaged ? 0 : number_at(n.at, size);
}

/* A vector whose length is a number of `size` bytes before it. */
static struct vector take_vector(struct vector *v, size_t size)
{
    uint32_t n = take_number(v, size);

    return take_bytes(v, n);
}

static bool is_printable(struct vector v)
{
    for (size_t i = 0; i < v.len; i++)
        if (v.at[i] <= ' ' || v.at[i] >= 0x7f)
            return false;
    return v.len > 0;
}

/* Exactly one name of the only type there is (RFC 6066). */
static enum err read_server_name(struct vector in, struct tls_hello *ret,
                                 struct diag *why)
{
    struct vector list = take_vector(&in, 2);
    uint32_t type = take_number(&list, 1);
    struct vector name = take_vector(&list, 2);

    if (in.damaged || in.len || list.damaged || list.len || type != NAME_HOST ||
        !is_printable(name) || name.len >= sizeof(ret->server_name))
        return diag_set(why, ERR_PROTO, "its server_name is damaged");
    if (ret->server_name[0])
        return diag_set(why, ERR_PROTO, "it has two server_names");
    memcpy(ret->server_name, name.at, name.len);
    return OK;
}

static void add_protocol(struct vector name, struct tls_hello *ret)
{
    size_t had = strlen(ret->alpn);

    if (!is_printable(name) || had + 1 + name.len >= sizeof(ret->alpn))
        return;
    if (had)
        ret->alpn[had++] = ',';
    memcpy(ret->alpn + had, name.at, name.len);
}

static enum err read_alpn(struct vector in, struct tls_hello *ret, struct diag *why)
{
    struct vector list = take_vector(&in, 2);

    while (list.len && !list.damaged) {
        struct vector name = take_vector(&list, 1);
        if (!name.damaged)
            add_protocol(name, ret);
    }
    if (in.damaged || in.len || list.damaged)
        return diag_set(why, ERR_PROTO, "its ALPN list is damaged");
    return OK;
}

static enum err read_extension(uint32_t type, struct vector in, struct tls_hello *ret,
                               struct diag *why)
{
    if (type == EXTENSION_SERVER_NAME)
        return read_server_name(in, ret, why);
    if (type == EXTENSION_ALPN)
        return read_alpn(in, ret, why);
    ret->ech = ret->ech || type == EXTENSION_ECH;
    return OK;
}

static enum err read_extensions(struct vector all, struct tls_hello *ret,
                                struct diag *why)
{
    enum err e = OK;

    while (!e && all.len && !all.damaged) {
        uint32_t type = take_number(&all, 2);
        struct vector extension = take_vector(&all, 2);
        if (!all.damaged)
            e = read_extension(type, extension, ret, why);
    }
    if (!e && all.damaged)
        e = diag_set(why, ERR_PROTO, "its extensions are damaged");
    return e;
}

/* Before TLS 1.2 a hello could end without extensions. */
static enum err read_body(struct vector body, struct tls_hello *ret, struct diag *why)
{
    struct tls_hello hello = { .ech = false };

    take_bytes(&body, VERSION_SIZE + RANDOM_SIZE);
    take_vector(&body, 1); /* session id */
    take_vector(&body, 2); /* cipher suites */
    take_vector(&body, 1); /* compression methods */
    struct vector extensions = { .len = 0 };
    if (body.len && !body.damaged)
        extensions = take_vector(&body, 2);
    if (body.damaged || body.len)
        return diag_set(why, ERR_PROTO, "its fields are damaged");
    enum err e = read_extensions(extensions, &hello, why);
    if (!e)
        *ret = hello;
    return e;
}

static enum err check_record(const uint8_t *in, size_t len, struct diag *why)
{
    if (len > 0 && in[0] != RECORD_HANDSHAKE)
        return diag_set(why, ERR_PROTO, "a record is no handshake");
    if (len > 1 && in[1] != 3)
        return diag_set(why, ERR_PROTO, "a record is not of TLS");
    if (len < RECORD_HEAD)
        return ERR_AGAIN;
    uint32_t size = number_at(in + 3, 2);
    if (size == 0 || size > RECORD_MAX)
        return diag_set(why, ERR_PROTO, "a record has %u bytes", size);
    return OK;
}

/* The payloads of the records, as far as they have come, up to `room` bytes. */
static enum err gather(const uint8_t *in, size_t len, uint8_t *out, size_t room,
                       size_t *ret_len, struct diag *why)
{
    size_t have = 0;
    enum err e = OK;

    for (size_t at = 0; at < len && have < room;) {
        e = check_record(in + at, len - at, why);
        if (e)
            break;
        size_t size = number_at(in + at + 3, 2), left = len - at - RECORD_HEAD;
        size_t n = size < left ? size : left;
        n = n < room - have ? n : room - have;
        memcpy(out + have, in + at + RECORD_HEAD, n);
        have += n;
        at += RECORD_HEAD + size;
    }
    *ret_len = have;
    return e == ERR_AGAIN ? OK : e;
}

static enum err check_message(const uint8_t *head, size_t *ret_size, struct diag *why)
{
    size_t size = number_at(head + 1, 3);

    if (head[0] != MESSAGE_CLIENT_HELLO)
        return diag_set(why, ERR_PROTO, "it is no ClientHello");
    if (size > TLS_HELLO_MAX)
        return diag_set(why, ERR_LIMIT,
                        "a ClientHello of %zu bytes; at most %d are accepted", size,
                        TLS_HELLO_MAX);
    *ret_size = size;
    return OK;
}

static enum err wait_for_more(size_t len, struct diag *why)
{
    if (len >= TLS_HELLO_WIRE_MAX)
        return diag_set(why, ERR_LIMIT, "a ClientHello in too many records");
    return ERR_AGAIN;
}

enum err tls_hello_decode(const uint8_t *in, size_t len, struct tls_hello *ret,
                          struct diag *why)
{
    uint8_t whole[MESSAGE_HEAD + TLS_HELLO_MAX];
    size_t have = 0, size = 0;

    len = len < TLS_HELLO_WIRE_MAX ? len : TLS_HELLO_WIRE_MAX;
    enum err e = gather(in, len, whole, MESSAGE_HEAD, &have, why);
    if (e)
        return e;
    if (have < MESSAGE_HEAD)
        return have && whole[0] != MESSAGE_CLIENT_HELLO
                   ? diag_set(why, ERR_PROTO, "it is no ClientHello")
                   : wait_for_more(len, why);
    e = check_message(whole, &size, why);
    if (!e)
        e = gather(in, len, whole, MESSAGE_HEAD + size, &have, why);
    if (e)
        return e;
    if (have < MESSAGE_HEAD + size)
        return wait_for_more(len, why);
    struct vector body = { whole + MESSAGE_HEAD, size, false };
    return read_body(body, ret, why);
}
