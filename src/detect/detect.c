/* detect/detect.c - detects the protocol of a client from its first bytes */
#include "detect/detect.h"

#include <stdbool.h>
#include <string.h>

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* record type 22, version 3.x; then the length and, at byte 5, a ClientHello. */
static enum detected detect_tls(const uint8_t *in, size_t len)
{
    if (len >= 2 && in[1] != 0x03)
        return DETECT_UNKNOWN;
    if (len >= 6 && in[5] != 0x01)
        return DETECT_UNKNOWN;
    return len >= 6 ? DETECT_TLS : DETECT_MORE;
}

/* The byte 4 is not enough: CONNECT or BIND must follow. */
static enum detected detect_socks4(const uint8_t *in, size_t len)
{
    if (len < 2)
        return DETECT_MORE;
    return in[1] == 1 || in[1] == 2 ? DETECT_SOCKS4 : DETECT_UNKNOWN;
}

/* At least one method of authentication is offered. */
static enum detected detect_socks5(const uint8_t *in, size_t len)
{
    if (len < 2)
        return DETECT_MORE;
    return in[1] > 0 ? DETECT_SOCKS5 : DETECT_UNKNOWN;
}

/* Methods are tokens, almost always in capitals; blank lines may precede them.  Other
 * printable text counts as HTTP/1 as well, and its parser refuses it with an HTTP
 * response. */
static enum detected detect_text(const uint8_t *in, size_t len)
{
    size_t n = len < sizeof(preface) - 1 ? len : sizeof(preface) - 1;

    if (memcmp(in, preface, n) == 0)
        return n == sizeof(preface) - 1 ? DETECT_HTTP2 : DETECT_MORE;
    bool text = (in[0] > ' ' && in[0] < 0x7f) || in[0] == '\r' || in[0] == '\n';
    return text ? DETECT_HTTP1 : DETECT_UNKNOWN;
}

enum detected detect(const uint8_t *in, size_t len)
{
    if (len == 0)
        return DETECT_MORE;
    switch (in[0]) {
    case 0x16:
        return detect_tls(in, len);
    case 0x04:
        return detect_socks4(in, len);
    case 0x05:
        return detect_socks5(in, len);
    default:
        return detect_text(in, len);
    }
}

/* RFC 9113, section 4.1: a length below 64 KiB, the type, flags, and stream 0. */
static bool is_http2_frame(const uint8_t *in, size_t len)
{
    static const uint8_t stream[4] = { 0 };
    enum { SETTINGS = 4, GOAWAY = 7 };

    return len >= DETECT_SERVER_MAX && in[0] == 0 &&
           (in[3] == SETTINGS || in[3] == GOAWAY) &&
           memcmp(in + 5, stream, sizeof(stream)) == 0;
}

enum detected detect_server(const uint8_t *in, size_t len)
{
    enum { ALERT = 0x15, HANDSHAKE = 0x16 };

    if (len >= 3 && (in[0] == ALERT || in[0] == HANDSHAKE) && in[1] == 3 && in[2] <= 4)
        return DETECT_TLS;
    return is_http2_frame(in, len) ? DETECT_HTTP2 : DETECT_UNKNOWN;
}

const char *detected_name(enum detected d)
{
    static const char *const names[] = {
        [DETECT_MORE] = "not known yet", [DETECT_HTTP1] = "HTTP/1",
        [DETECT_HTTP2] = "HTTP/2",       [DETECT_TLS] = "TLS",
        [DETECT_SOCKS4] = "SOCKS4",      [DETECT_SOCKS5] = "SOCKS5",
        [DETECT_UNKNOWN] = "unknown",
    };
    return names[d];
}
