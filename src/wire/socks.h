/* wire/socks.h - the server's side of SOCKS 4, 4a and 5 (RFC 1928, RFC 1929)
 *
 * Bytes to structs and back.  No sockets, no allocation, no state: the caller keeps bytes
 * until a whole message has arrived.  A message of SOCKS 5 has at most SOCKS5_MESSAGE_MAX
 * bytes, one of SOCKS 4 SOCKS4_MESSAGE_MAX.
 *
 * Every decoder returns:
 *   OK               *ret is filled in; the first *used bytes were the message
 *   ERR_AGAIN        the message is not complete: call again with more bytes
 *   ERR_PROTO        no byte that could follow makes this a legal message
 *   ERR_LIMIT        a text in a SOCKS 4 request is too long
 *   ERR_UNSUPPORTED  the type of address is none of RFC 1928
 * *ret and *used are written only on OK.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define SOCKS_HOST_ROOM 256 /* a name of 255 bytes, or an address as text */
#define SOCKS_TEXT_ROOM 256 /* a user or a password */
#define SOCKS5_MESSAGE_MAX 513
#define SOCKS4_MESSAGE_MAX (8 + 2 * 256)
#define SOCKS_REPLY_MAX 10

enum socks_command {
    SOCKS_CONNECT = 1,
    SOCKS_BIND = 2,
    SOCKS_UDP_ASSOCIATE = 3, /* version 5 only */
};

/* The codes of RFC 1928, section 6; version 4 knows granted and rejected only. */
enum socks_reply {
    SOCKS_SUCCEEDED,
    SOCKS_FAILED,
    SOCKS_NOT_ALLOWED,
    SOCKS_NETWORK_UNREACHABLE,
    SOCKS_HOST_UNREACHABLE,
    SOCKS_REFUSED,
    SOCKS_EXPIRED,
    SOCKS_COMMAND_UNSUPPORTED,
    SOCKS_ADDRESS_UNSUPPORTED,
};

/* How a client of version 5 may log in. */
enum socks5_method {
    SOCKS5_ANONYMOUS = 0x00,
    SOCKS5_PASSWORD = 0x02,
    SOCKS5_NO_METHOD = 0xff, /* no acceptable method was offered */
};

struct socks5_offer {
    bool anonymous, password;
};

struct socks5_login {
    char user[SOCKS_TEXT_ROOM], password[SOCKS_TEXT_ROOM]; /* terminated, without NUL */
};

struct socks_request {
    enum socks_command command;
    uint16_t port; /* may be 0 */
    /* A name, an IPv4 address, or an IPv6 address without brackets; printable ASCII, not
     * empty, terminated.  A client may send an address as text in the field for a
     * name. */
    char host[SOCKS_HOST_ROOM];
};

/* The first message of a client of version 5. */
MUST_CHECK enum err socks5_offer_decode(const uint8_t *in, size_t len,
                                        struct socks5_offer *ret, size_t *used);
/* The message that follows where SOCKS5_PASSWORD was chosen. */
MUST_CHECK enum err socks5_login_decode(const uint8_t *in, size_t len,
                                        struct socks5_login *ret, size_t *used);
MUST_CHECK enum err socks5_request_decode(const uint8_t *in, size_t len,
                                          struct socks_request *ret, size_t *used);
/* The only message of a client of version 4 or 4a. */
MUST_CHECK enum err socks4_request_decode(const uint8_t *in, size_t len,
                                          struct socks_request *ret, size_t *used);

/* The server's messages.  Each returns how many bytes of `out` were written. */
size_t socks5_choice_encode(enum socks5_method method,
                            uint8_t out[static SOCKS_REPLY_MAX]);
size_t socks5_login_reply_encode(bool accepted, uint8_t out[static SOCKS_REPLY_MAX]);
/* `version`: 4 or 5.  The bound address is 0.0.0.0:0: no client needs it for CONNECT. */
size_t socks_reply_encode(unsigned version, enum socks_reply reply,
                          uint8_t out[static SOCKS_REPLY_MAX]);
