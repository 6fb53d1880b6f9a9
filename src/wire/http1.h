/* wire/http1.h - HTTP/1.1 message heads and chunked bodies (RFC 9112)
 *
 * Bytes to struct and back.  No I/O, no allocation: the caller keeps bytes until a whole
 * head has arrived, and every view in the result points into those bytes.  The parser is
 * strict against request smuggling: a message that two parsers could read differently is
 * refused, never repaired.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "wire/http1_names.h"

#define HTTP1_OPTIONS_MAX 128 /* names in Connection: each costs a walk over all fields */

struct http1_field {
    enum http1_name id;
    bool hop;         /* not passed on: hop-by-hop by nature, named by Connection, or a
                         Content-Length that the message does not have */
    bool loose;       /* responses: not `line` is passed on, but `name` and `value` */
    struct str name;  /* as sent */
    struct str value; /* trimmed */
    struct str line;  /* the whole line with its CRLF: adjacent lines adjoin in memory */
};

enum http1_framing {
    BODY_NONE,
    BODY_LENGTH, /* `length` bytes, which may be 0 */
    BODY_CHUNKED,
    BODY_TO_EOF, /* responses only: the body ends with the connection */
    BODY_TO_END, /* HTTP/2: the body ends with its stream; no parser returns it */
};

struct http1_head {
    int minor;         /* HTTP/1.<minor>: 0, or 1 (a higher minor is reported as 1) */
    struct str method; /* requests; any token */
    struct str target; /* requests; visible ASCII and bytes >= 0x80, never empty */
    int status;        /* responses; 100..999 */
    struct str reason; /* responses; may be empty */

    /* The caller sets `fields` and `room` before the head is parsed; the parser does not
     * change them. */
    struct http1_field *fields;
    size_t room, count;

    /* Computed from all fields. */
    enum http1_framing framing;
    uint64_t length;
    bool keep_alive;       /* the sender allows another message after this one */
    bool expect_continue;  /* Expect: 100-continue in an HTTP/1.1 request */
    bool binds_connection; /* a credential or challenge of a scheme that authenticates the
                              connection and not the request: NTLM, Negotiate */
    bool upgrade; /* Connection: upgrade with an Upgrade field; responses: status 101 */
    const struct http1_field *host; /* requests; NULL when absent, in HTTP/1.0 only */

    const char *problem; /* on ERR_PROTO and ERR_LIMIT: a phrase naming what was wrong */
};

/* Find the end of the head that starts at in[0].  *scanned remembers how far earlier
 * calls looked (start with 0), so that a head arriving byte by byte costs linear time.
 * OK: *ret is its length, blank line included.  ERR_AGAIN: not complete. */
MUST_CHECK enum err http1_head_end(const char *in, size_t len, size_t *scanned,
                                   size_t *ret);

/* Parse one complete head, in[0..len) as http1_head_end measured it.  Empty lines before
 * a request line are skipped by the caller.
 *
 * OK         *head is filled in; its views point into `in`
 * ERR_PROTO  not HTTP, or ambiguous: head->problem has the text (for a 400)
 * ERR_LIMIT  too many fields, or names in Connection: head->problem has the text (for a
 * 431).
 *            With head->count == head->room, more room may help
 *
 * Refused besides bad syntax: bare CR, bare LF, NUL; obs-fold; blanks before a colon or
 * before the first field; Content-Length with Transfer-Encoding; two Content-Lengths, or
 * a list, even of equal values; Transfer-Encoding other than exactly "chunked" (and any
 * in HTTP/1.0); two Hosts; no Host in HTTP/1.1; Connection naming Host, Content-Length or
 * Transfer-Encoding.  The value of Host is not checked.  After a failure only `problem`
 * and `count` may be read. */
MUST_CHECK enum err http1_request_parse(const char *in, size_t len,
                                        struct http1_head *head);

/* The same for a response.  `request_method` decides about bodies (HEAD, CONNECT).  1xx,
 * 204 and 304 have none (RFC 9112, section 6.3).
 *
 * Accepted here and not in requests, and normalised when it is passed on (`hop`,
 * `loose`):
 *   - blanks before a colon (RFC 9112, section 5.1);
 *   - equal Content-Lengths, in several fields or as a list: they are one;
 *   - Content-Length with Transfer-Encoding: the coding wins, the length is dropped;
 *   - a Content-Length in 1xx and 204: it is dropped.
 *
 * keep_alive is false after 101 and after a successful CONNECT: what follows there is not
 * another message; and where another parser could find a different end of this message:
 * after a response with both Content-Length and Transfer-Encoding, and after a 204 that
 * announced a body. */
MUST_CHECK enum err http1_response_parse(const char *in, size_t len,
                                         struct str request_method,
                                         struct http1_head *head);

/* The first field with this id, or NULL. */
const struct http1_field *http1_find(const struct http1_head *head, enum http1_name id);

/* Is `token` in the comma-separated list of any field with this id?  Case ignored. */
bool http1_has_token(const struct http1_head *head, enum http1_name id, struct str token);

/* Do not pass on fields of this name. */
void http1_drop(struct http1_head *head, struct str name);

/* RFC 9110, section 9.2: GET, HEAD, OPTIONS, TRACE, PUT, DELETE; and the first four. */
bool http1_idempotent(struct str method);
bool http1_safe(struct str method);

/* A standard reason phrase ("Bad Gateway"); "Unknown" for other codes. */
const char *http1_reason(int status);

/* A decoder of the chunked coding (RFC 9112, section 7.1).  Zeroed, it is at the start of
 * a body. */
struct http1_chunked {
    bool answer;       /* set by the caller: it is the body of a response */
    int state;         /* private, like the next two */
    uint64_t left;     /* payload bytes of the current chunk still to come */
    uint32_t overhead; /* bytes of this size line or of the trailers so far */
    const char *problem;
};

#define HTTP1_CHUNK_LINE_MAX 256 /* a size line with its extensions and its CRLF */
#define HTTP1_ANSWER_CHUNK_LINE_MAX 16384 /* ... of a response: extensions are dropped */
#define HTTP1_TRAILERS_MAX 16384 /* all trailer lines and the blank line after them */

struct http1_piece {
    size_t dropped; /* responses: this many bytes come first and are not passed on */
    size_t framing; /* then this many bytes of framing (sizes, CRLFs, trailers) */
    size_t payload; /* and then this many bytes of the body itself */
    bool done;      /* the body ends after them */
};

/* Measure the next piece of a chunked body in in[0..len).
 *
 * OK         *ret has the lengths of the three parts of the piece (at least 1 byte), and
 *            the decoder has moved past it; once done, it stays done and takes no more
 * ERR_AGAIN  len is 0
 * ERR_PROTO, ERR_LIMIT  c->problem has the text
 *
 * The bytes that are not dropped may be passed on unchanged: nothing ambiguous is
 * accepted (bare LF, sizes over 2^60, blanks before a size or between its digits).
 * Requests may have blanks after a size only before an extension, as the grammar allows;
 * no byte of a request is dropped.  Responses may have blanks after a size and before the
 * colon of a trailer, and long extensions: the blanks and all extensions are dropped. */
MUST_CHECK enum err http1_chunked_decode(struct http1_chunked *c, const uint8_t *in,
                                         size_t len, struct http1_piece *ret);

/* How many bytes of trailers have come, the blank line after them included. */
uint32_t http1_chunked_trailers(const struct http1_chunked *c);

/* Is `byte`, which comes next, one of those that are dropped? */
bool http1_chunked_drops(const struct http1_chunked *c, char byte);

/* Encode the head of a chunk of n > 0 bytes ("1a\r\n"); returns its length.  The payload
 * is followed by "\r\n", the last chunk by "0\r\n" + trailers + "\r\n". */
#define HTTP1_CHUNK_HEAD_MAX 18
size_t http1_chunk_head_encode(size_t n, char out[static HTTP1_CHUNK_HEAD_MAX]);
