/* wire/spdy.h - SPDY/3 frames as Kubernetes port-forward uses them
 *
 * Bytes to struct and back: no I/O, no allocation.  Sources: the SPDY/3 draft, section 2,
 * and moby/spdystream (spdy/types.go, read.go, write.go), which is the peer in practice.
 * There is no flow control: SETTINGS and WINDOW_UPDATE are legal and ignored.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define SPDY_HEAD 8 /* every frame begins with this many bytes */
/* maximum body of a control frame; our choice, SPDY has no such limit */
#define SPDY_CONTROL_MAX (64 * 1024)
#define SPDY_ID_MAX 0x7fffffffu

enum spdy_type {
    SPDY_DATA = 0, /* not on the wire: a data frame */
    SPDY_SYN_STREAM = 1,
    SPDY_SYN_REPLY = 2,
    SPDY_RST_STREAM = 3,
    SPDY_SETTINGS = 4,
    SPDY_PING = 6,
    SPDY_GOAWAY = 7,
    SPDY_HEADERS = 8,
    SPDY_WINDOW_UPDATE = 9,
};

enum spdy_status {
    SPDY_PROTOCOL_ERROR = 1,
    SPDY_INVALID_STREAM = 2,
    SPDY_REFUSED_STREAM = 3,
    SPDY_CANCEL = 5,
    SPDY_INTERNAL_ERROR = 6,
};

#define SPDY_FIN 0x01

/* The first 8 bytes of a frame. */
struct spdy_head {
    enum spdy_type type;
    uint8_t flags;
    uint32_t length; /* of the body that follows */
    uint32_t id;     /* data frames only: the stream */
};

/* A decoded control frame.  Fields that a type does not have are 0. */
struct spdy_control {
    uint32_t id;      /* stream; PING: the ping; GOAWAY: last good stream */
    uint32_t status;  /* RST_STREAM, GOAWAY */
    struct str block; /* SYN_STREAM, SYN_REPLY, HEADERS: the compressed header block */
};

/* OK, ERR_AGAIN (len < SPDY_HEAD), ERR_PROTO (unknown type, wrong version, a data frame
 * for stream 0), ERR_LIMIT (a control frame over SPDY_CONTROL_MAX). */
MUST_CHECK enum err spdy_head_decode(const uint8_t *in, size_t len,
                                     struct spdy_head *ret);

/* Decode the body of a control frame; `body` holds all head->length bytes.
 * ERR_PROTO: wrong length, stream or ping id 0, RST status 0, flags on a type that has
 * none. ret->block points into body.  *ret is written only on OK. */
MUST_CHECK enum err spdy_control_decode(const struct spdy_head *head, const uint8_t *body,
                                        struct spdy_control *ret);

/* Encoders of a client; each returns the bytes written and cannot fail. */
void spdy_data_head_encode(uint32_t id, uint8_t flags, uint32_t length,
                           uint8_t out[static SPDY_HEAD]);
#define SPDY_PING_SIZE 12
void spdy_ping_encode(uint32_t id, uint8_t out[static SPDY_PING_SIZE]);

/* One forwarded connection, client side: SYN_STREAM for the error stream (with FIN) and
 * for the data stream, in one piece, because a lone stream can crash old runtimes.  The
 * header blocks are stored (deflate level 0), so a client needs no zlib; first: these are
 * the first blocks on the connection, which begin with the zlib header and the dictionary
 * id. */
struct spdy_pair {
    uint32_t error_id, data_id; /* odd; error_id < data_id */
    uint16_t port;
    uint32_t request_id;
};
#define SPDY_PAIR_MAX 256
size_t spdy_pair_encode(const struct spdy_pair *pair, bool first,
                        uint8_t out[static SPDY_PAIR_MAX]);

/* The dictionary of SPDY/3, section 2.6.10.1: 1423 bytes. */
#define SPDY_DICTIONARY_SIZE 1423
void spdy_dictionary(uint8_t out[static SPDY_DICTIONARY_SIZE]);
