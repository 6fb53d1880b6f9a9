/* detect/detect.h - detects the protocol of a client from its first bytes
 *
 * No I/O.  Decides with as few bytes as possible, so that a client that waits for a
 * response to a short greeting gets one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum detected {
    DETECT_MORE,  /* ambiguous so far: call again with more bytes */
    DETECT_HTTP1, /* HTTP/1, or text that the HTTP/1 parser will refuse */
    DETECT_HTTP2, /* the preface of HTTP/2 with prior knowledge (RFC 9113, section 3.4) */
    DETECT_TLS,   /* a ClientHello record */
    DETECT_SOCKS4,
    DETECT_SOCKS5,
    DETECT_UNKNOWN, /* none of them, whatever follows */
};

/* DETECT_MAX bytes are always enough to decide. */
#define DETECT_MAX 24

enum detected detect(const uint8_t *in, size_t len);

/* The protocol of a server, from the first bytes of its response to an HTTP/1 request:
 * DETECT_TLS (an alert or a handshake record), DETECT_HTTP2 (a SETTINGS or GOAWAY frame
 * of the connection), else DETECT_UNKNOWN. */
#define DETECT_SERVER_MAX 9
enum detected detect_server(const uint8_t *in, size_t len);

/* "TLS", for logs; never NULL. */
const char *detected_name(enum detected d);
