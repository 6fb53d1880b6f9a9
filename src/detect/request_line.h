/* detect/request_line.h - do a connection's first bytes make an HTTP/1 request line?
 *
 * Pure, and fed as the bytes come:  method SP target SP "HTTP/1." digit CRLF  (RFC 9112,
 * section 3), with nothing in front of it and single spaces, which is how browsers write
 * it.  CONNECT does not count: no page can send it, and what follows it is not HTTP.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum line {
    LINE_MORE,  /* the bytes so far begin one */
    LINE_HTTP1, /* one is complete */
    LINE_OTHER, /* none, whatever follows */
};

/* Zeroed: nothing has come. */
struct request_line {
    uint8_t state;
    uint8_t at;      /* in the version, or in "CONNECT" */
    bool connecting; /* the method is CONNECT, as far as it has come */
};

/* The next bytes of the connection.  Not to be called after a result other than
 * LINE_MORE. */
enum line request_line_feed(struct request_line *l, const uint8_t *in, size_t len);

/* Are the bytes so far a bare word, which a method may be?  A program that writes requests
 * sends what follows the method with it. */
bool request_line_is_word(const struct request_line *l);
