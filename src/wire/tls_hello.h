/* wire/tls_hello.h - the ClientHello that begins a TLS connection (RFC 8446, section 4.1.2)
 *
 * Reads what decides where a connection goes, and leaves the bytes as they are.  No
 * allocation, no state: the caller keeps bytes until the whole message has arrived.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* The largest handshake message that is accepted, and the most bytes of records that hold
 * one of that size in an input of this decoder. */
#define TLS_HELLO_MAX (16 * 1024)
#define TLS_HELLO_WIRE_MAX (20 * 1024)

#define TLS_NAME_ROOM 256
#define TLS_ALPN_ROOM 64

struct tls_hello {
    char server_name[TLS_NAME_ROOM]; /* of server_name (RFC 6066, section 3); "": none */
    char alpn[TLS_ALPN_ROOM]; /* "h2,http/1.1": those that fit, printable; "": none */
    /* encrypted_client_hello is there: server_name is the outer name.  Clients also send
     * a random extension (GREASE); then server_name is the real name. */
    bool ech;
};

/* Decode the ClientHello at the start of in[0..len), which begins with a TLS record.
 *
 * OK         *ret is filled in
 * ERR_AGAIN  it is not complete: call again with more bytes
 * ERR_LIMIT  it has more than TLS_HELLO_MAX bytes, or its records more than
 *            TLS_HELLO_WIRE_MAX
 * ERR_PROTO  it is not a valid ClientHello: *why (may be NULL) names the field
 *
 * *ret is written only on OK. */
MUST_CHECK enum err tls_hello_decode(const uint8_t *in, size_t len, struct tls_hello *ret,
                                     struct diag *why);
