/* http/message.h - one request and its answer on one connection, whatever HTTP carries them
 *
 * An exchange joins two message streams: the client's, made by a server codec (h1_server,
 * h2_server), and the pod's, made by a client codec (h1_client, h2_client).  Only codecs
 * know framing.  What an exchange works with:
 *
 *   heads    are text in the form of HTTP/1 and a parsed struct http1_head whose views point
 *            into it.  HTTP/1 codecs keep the bytes that came: order, spelling and adjacent
 *            lines.  HTTP/2 codecs write that text from the decoded fields, so that one
 *            parser, one policy and one writer judge both.
 *   bodies   lie in `bytes`: its `in` is what came, its `out` what is to be sent.  In HTTP/1
 *            that is the connection, and head->framing tells how much of it is body; in
 *            HTTP/2 it is a stream of its own that ends with the body (BODY_TO_END).  A body
 *            moves from one to the other with body_move (http/body.h), re-linked, with the
 *            coding that send_request or send_answer has chosen.
 *   windows  are the limits of these queues: what an exchange does not take from `in` is not
 *            acknowledged to its sender, and `out` is full or `bytes->stuck` while the
 *            receiver takes nothing.
 *   ends     are those of `bytes`: V_CLEAN after END_STREAM, V_RESET with reset_code,
 *            V_UNPROCESSED where the far end declares that it has not seen the request.
 *
 * After an answer of 101, or of 2xx to CONNECT, `bytes` of both sides carry whatever follows
 * (relay/).  An extended CONNECT (RFC 8441) is received as the upgrade request that it stands
 * for, and an answer of 101 is sent as the 200 that HTTP/2 has for it.
 */
#pragma once

#include "http/body.h"
#include "net/stream.h"
#include "wire/http1.h"

/* HTTP/2 error codes (RFC 9113, section 7) that an exchange chooses itself. */
enum message_reset {
    RESET_NO_ERROR =
        0x0, /* the answer is complete, the rest of the request is not needed */
    RESET_INTERNAL = 0x2,
    RESET_REFUSED = 0x7, /* the request was not processed */
    RESET_CANCEL = 0x8,
};

/* How a request goes to a pod. */
struct request_form {
    struct str path;      /* with the query */
    bool add_slash;       /* "/" comes before it */
    struct str authority; /* in place of Host; at == NULL: Host stays as it is */
    bool tls; /* TLS of the client ends here: X-Forwarded-Proto: https is added */
    const struct str
        *forwarded;   /* of a Forwarded field (RFC 7239); NULL: none is added */
    struct str trace; /* of a traceparent field; empty: none is added */
};

/* How an answer goes to a client. */
struct answer_form {
    struct str method; /* of the request */
    bool keep; /* the client's connection may serve on: codecs may find that it cannot */
};

struct message_stream;
struct page; /* http/page.h */

struct message_ops {
    /* The next head, parsed; the views of *ret stay valid until release_head, a request's
     * until the message ends.  `method` is the request's, for answers.
     * ERR_AGAIN: not complete, wait.  ERR_EOF: the far end ended before a byte of it (an
     * answer) or before all of it (a request).
     * ERR_PROTO, ERR_LIMIT: ret->problem says what is wrong. */
    enum err (*receive)(struct message_stream *m, struct str method,
                        struct http1_head *ret);
    /* The views of the last head are not used any more: bytes->in begins with the body. */
    void (*release_head)(struct message_stream *m);
    /* Client codecs.  Writes the head whole, sets m->coding for the body that follows. */
    void (*send_request)(struct message_stream *m, const struct http1_head *head,
                         const struct request_form *form);
    /* Server codecs; 1xx too.  Returns whether the connection can serve on after it. */
    bool (*send_answer)(struct message_stream *m, const struct http1_head *head,
                        const struct answer_form *form);
    /* Server codecs: a whole answer of our own; `keep` as above. */
    void (*send_page)(struct message_stream *m, struct page *page, bool keep);
    /* After the last byte of a body, which is in `out`: its end.  `trailers` are lines of
     * fields, each with its CRLF, or empty; needed for CODING_CHUNKS and by HTTP/2. */
    void (*end)(struct message_stream *m, struct str trailers);
    /* The message cannot be completed: in HTTP/2 the far end gets this code.  In HTTP/1 the
     * owner of the connection ends it. */
    void (*reset)(struct message_stream *m, uint32_t code);
};

struct message_stream {
    const struct message_ops *ops;
    struct stream *bytes;
    const struct stream
        *connection;         /* whose far end the kernel knows (net/peer.h); or NULL */
    enum body_coding coding; /* of the body that follows the head sent last */
    bool began;              /* a byte of a head has come */
    bool needs_reset;        /* cut short, the answer sent would look complete */
    size_t head_length, head_memory; /* of a request's head that is being received */
    struct str
        trailers; /* HTTP/2: that came after the body, as lines; valid after V_CLEAN */
    uint32_t reset_code; /* HTTP/2: of the RST_STREAM or GOAWAY that ended it */
};

/* The message has its connection to itself: HTTP/1. */
static inline bool message_is_alone(const struct message_stream *m)
{
    return m->bytes == m->connection;
}
