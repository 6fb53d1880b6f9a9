#include "wire/socks.h"

#include <arpa/inet.h>
#include <stdio.h>

enum address_type { TYPE_IPV4 = 1, TYPE_NAME = 3, TYPE_IPV6 = 4 };

enum { VERSION_4 = 4, VERSION_5 = 5, VERSION_LOGIN = 1 };

/* The reply codes of SOCKS 4: granted; rejected or failed. */
enum { SOCKS4_GRANTED = 0x5a, SOCKS4_REJECTED = 0x5b };

#define IPV4_SIZE 4
#define IPV6_SIZE 16
#define PORT_SIZE 2
#define SOCKS4_HEAD 8 /* version, command, port, address */

static uint16_t port_at(const uint8_t *in)
{
    return (uint16_t)(in[0] << 8 | in[1]);
}

/* Only printable ASCII is accepted, because names are put into logs and error texts. */
static bool is_host(const uint8_t *in, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (in[i] <= ' ' || in[i] >= 0x7f)
            return false;
    return len > 0;
}

static void copy_text(const uint8_t *in, size_t len, char *out)
{
    memcpy(out, in, len);
    out[len] = '\0';
}

enum err socks5_offer_decode(const uint8_t *in, size_t len, struct socks5_offer *ret,
                             size_t *used)
{
    struct socks5_offer offer = { false, false };

    if (len && in[0] != VERSION_5)
        return ERR_PROTO;
    if (len > 1 && in[1] == 0)
        return ERR_PROTO;
    if (len < 2 || len < 2u + in[1])
        return ERR_AGAIN;
    for (size_t i = 0; i < in[1]; i++) {
        offer.anonymous = offer.anonymous || in[2 + i] == SOCKS5_ANONYMOUS;
        offer.password = offer.password || in[2 + i] == SOCKS5_PASSWORD;
    }
    *ret = offer;
    *used = 2u + in[1];
    return OK;
}

enum err socks5_login_decode(const uint8_t *in, size_t len, struct socks5_login *ret,
                             size_t *used)
{
    if (len && in[0] != VERSION_LOGIN)
        return ERR_PROTO;
    if (len < 2 || len < 3u + in[1])
        return ERR_AGAIN;
    const uint8_t *user = in + 2, *password = user + in[1] + 1;
    size_t user_len = in[1], password_len = password[-1];
    if (len < 3 + user_len + password_len)
        return ERR_AGAIN;
    if (memchr(user, 0, user_len) || memchr(password, 0, password_len))
        return ERR_PROTO;
    copy_text(user, user_len, ret->user);
    copy_text(password, password_len, ret->password);
    *used = 3 + user_len + password_len;
    return OK;
}

/* The size of the address without its port; 0: the byte with the length of a name is
 * missing. */
static size_t address_size(uint8_t type, const uint8_t *in, size_t len)
{
    if (type == TYPE_IPV4)
        return IPV4_SIZE;
    if (type == TYPE_IPV6)
        return IPV6_SIZE;
    return len ? 1u + in[0] : 0;
}

static void put_address(uint8_t type, const uint8_t *in, char out[static SOCKS_HOST_ROOM])
{
    if (type == TYPE_NAME)
        copy_text(in + 1, in[0], out);
    else
        inet_ntop(type == TYPE_IPV4 ? AF_INET : AF_INET6, in, out, SOCKS_HOST_ROOM);
}

/* Version, command, a reserved byte and the type of the address. */
static enum err check_request(const uint8_t *in, size_t len)
{
    if (len && in[0] != VERSION_5)
        return ERR_PROTO;
    if (len > 1 && (in[1] < SOCKS_CONNECT || in[1] > SOCKS_UDP_ASSOCIATE))
        return ERR_PROTO;
    if (len > 2 && in[2] != 0)
        return ERR_PROTO;
    if (len < 4)
        return ERR_AGAIN;
    bool known = in[3] == TYPE_IPV4 || in[3] == TYPE_NAME || in[3] == TYPE_IPV6;
    return known ? OK : ERR_UNSUPPORTED;
}

enum err socks5_request_decode(const uint8_t *in, size_t len, struct socks_request *ret,
                               size_t *used)
{
    enum err e = check_request(in, len);

    if (e)
        return e;
    uint8_t type = in[3];
    const uint8_t *address = in + 4;
    size_t left = len - 4, size = address_size(type, address, left);
    if (!size || left < size + PORT_SIZE)
        return size == 1 ? ERR_PROTO : ERR_AGAIN; /* 1: an empty name */
    if (type == TYPE_NAME && !is_host(address + 1, size - 1))
        return ERR_PROTO;
    ret->command = (enum socks_command)in[1];
    ret->port = port_at(address + size);
    put_address(type, address, ret->host);
    *used = 4 + size + PORT_SIZE;
    return OK;
}

/* A text that ends with NUL.  *ret_size includes the NUL. */
static enum err text_decode(const uint8_t *in, size_t len, size_t *ret_size)
{
    const uint8_t *nul = memchr(in, 0, len);

    if (nul)
        *ret_size = (size_t)(nul - in) + 1;
    size_t size = nul ? *ret_size : len;
    if (size > SOCKS_TEXT_ROOM)
        return ERR_LIMIT;
    return nul ? OK : ERR_AGAIN;
}

/* True for 0.0.0.1 to 0.0.0.255, which means that a name follows the user (SOCKS 4a). */
static bool has_name(const uint8_t *address)
{
    return !address[0] && !address[1] && !address[2] && address[3];
}

static enum err check_socks4(const uint8_t *in, size_t len)
{
    if (len && in[0] != VERSION_4)
        return ERR_PROTO;
    if (len > 1 && in[1] != SOCKS_CONNECT && in[1] != SOCKS_BIND)
        return ERR_PROTO;
    return len < SOCKS4_HEAD ? ERR_AGAIN : OK;
}

enum err socks4_request_decode(const uint8_t *in, size_t len, struct socks_request *ret,
                               size_t *used)
{
    size_t user = 0, name = 0;
    enum err e = check_socks4(in, len);

    if (!e)
        e = text_decode(in + SOCKS4_HEAD, len - SOCKS4_HEAD, &user);
    const uint8_t *text = in + SOCKS4_HEAD + user;
    bool named = !e && has_name(in + 4);
    if (named)
        e = text_decode(text, len - SOCKS4_HEAD - user, &name);
    if (!e && named && !is_host(text, name - 1))
        e = ERR_PROTO;
    if (e)
        return e;
    ret->command = (enum socks_command)in[1];
    ret->port = port_at(in + 2);
    if (named)
        copy_text(text, name - 1, ret->host);
    else
        put_address(TYPE_IPV4, in + 4, ret->host);
    *used = SOCKS4_HEAD + user + name;
    return OK;
}

size_t socks5_choice_encode(enum socks5_method method,
                            uint8_t out[static SOCKS_REPLY_MAX])
{
    out[0] = VERSION_5;
    out[1] = (uint8_t)method;
    return 2;
}

size_t socks5_login_reply_encode(bool accepted, uint8_t out[static SOCKS_REPLY_MAX])
{
    out[0] = VERSION_LOGIN;
    out[1] = accepted ? 0 : 1;
    return 2;
}

size_t socks_reply_encode(unsigned version, enum socks_reply reply,
                          uint8_t out[static SOCKS_REPLY_MAX])
{
    memset(out, 0, SOCKS_REPLY_MAX);
    if (version == VERSION_4) {
        out[1] = reply == SOCKS_SUCCEEDED ? SOCKS4_GRANTED : SOCKS4_REJECTED;
        return SOCKS4_HEAD;
    }
    out[0] = VERSION_5;
    out[1] = (uint8_t)reply;
    out[3] = TYPE_IPV4;
    return SOCKS_REPLY_MAX;
}
