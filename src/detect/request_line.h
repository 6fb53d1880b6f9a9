/* detect/request_line.h - are a connection's first bytes an HTTP/1 request line?
 *
 * No I/O; it is fed bytes as they arrive:  method SP target SP "HTTP/1." digit CRLF  (RFC
 * 9112, section 3), with nothing in front of it and single spaces, which is how browsers
 * write it.  CONNECT does not count: a web page cannot send it, and what follows it is
 * not HTTP.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum line {
    LINE_MORE,  /* the bytes so far are the beginning of a request line */
    LINE_HTTP1, /* a request line is complete */
    LINE_OTHER, /* not a request line, whatever follows */
};

/* Zeroed: at the start of the connection. */
struct request_line {
    uint8_t state;
    uint8_t at;      /* index in the version, or in "CONNECT" */
    bool connecting; /* the method so far is a prefix of CONNECT */
};

/* The next bytes of the connection.  Not to be called after a result other than
 * LINE_MORE. */
enum line request_line_feed(struct request_line *l, const uint8_t *in, size_t len);

/* Are the bytes so far a single word, which a method may be?  HTTP clients send the rest
 * of the line together with the method. */
bool request_line_is_word(const struct request_line *l);
