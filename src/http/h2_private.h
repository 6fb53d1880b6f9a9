/* http/h2_private.h - what the files of http/h2_* share
 *
 *   h2_connection.c  a connection: nghttp2's session, its callbacks, reading and flushing
 *   h2_memory.c      the memory of its session
 *   h2_stream.c      a stream of it: windows, bodies, how it ends
 *   h2_heads.c       heads: fields into the text of HTTP/1, and parsed heads into fields
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "http/h2.h"
#include "http/head_text.h"

#define H2_RESETS_AT_ONCE 1000 /* as nghttp2 recommends */
#define H2_RESETS_A_SECOND 33
#define H2_OUT_LIMIT (4 * CHUNK_ROOM) /* of a stream */

/* Pseudo-header fields, of requests and answers. */
enum h2_pseudo {
    PSEUDO_METHOD,
    PSEUDO_SCHEME,
    PSEUDO_AUTHORITY,
    PSEUDO_PATH,
    PSEUDO_PROTOCOL,
    PSEUDO_STATUS,
    PSEUDOS,
};

/* A head while its fields come. */
struct h2_head {
    struct head_text pseudo; /* their values, one after the other */
    struct {
        size_t at, len;
        bool given;
    } of[PSEUDOS];
    bool started;      /* the start line is written */
    bool trailers;     /* the block has no start line */
    bool too_large;    /* more than max_head_size: the rest is not kept */
    int status;        /* of an answer */
    size_t cookie_end; /* in the text: where the next Cookie goes; 0: there was none */
};

struct h2_stream {
    struct message_stream message;
    struct stream bytes;
    struct h2_settings *settings;
    struct h2_connection *connection; /* NULL: it has ended */
    int32_t id;                       /* 0: a client's that was not sent yet */
    struct list_node member;          /* of the connection's streams, or the free list */
    struct list_node incoming;        /* of the connection, until h2_accept */
    struct list_node sending;   /* of the connection, while bytes.out is not empty */
    struct list_node lingering; /* of the connection, until `lingers_until` */
    uint64_t lingers_until;

    struct h2_head head;
    struct head_text text;     /* heads, one after the other, as HTTP/1 would have them */
    struct head_text trailers; /* likewise, without a start line */
    size_t taken;              /* bytes of `text` that receive has returned */
    size_t scanned;
    bool server;
    bool final;         /* client: the last head is no interim one */
    bool ended_in_head; /* END_STREAM came with the last head */
    bool connect;       /* CONNECT, extended or not: bytes follow a 2xx */
    bool upgrade;       /* an extended one */
    char *accept;       /* owned: of a WebSocket's upgrade in HTTP/1; or NULL */

    size_t received;   /* bytes that came and are not acknowledged */
    bool open;         /* nghttp2 has it */
    bool used;         /* between h2_accept or h2_open and stream_close */
    bool sent;         /* a final head was sent */
    bool ending;       /* `end` was called: END_STREAM follows `out` */
    bool deferred;     /* nghttp2 waits for more of `out` */
    bool reset_sent;   /* nothing more is sent */
    bool reset_at_end; /* of the server's: the rest of the request is not needed */
    struct str last;   /* trailers that are to be sent; in `trailer_lines` */
    struct head_text trailer_lines;
};

struct h2_connection {
    struct h2_settings *settings;
    uint32_t streams_max, window; /* as the settings were when it began */
    struct stream *below;
    bool server;
    nghttp2_session *session;
    struct task read, flush;
    struct task *wake;
    struct timer acknowledged; /* our SETTINGS */
    struct timer linger;       /* of the first in `lingering` */
    struct list_node streams, incoming, sending, lingering;
    size_t count;
    size_t memory;
    enum h2_peer peer;
    bool has_settings; /* the far end's first have come */
    uint32_t assumed;  /* streams that it accepts, until they come; 0: unknown */
    unsigned resets; /* that we sent for the far end's mistakes, less those of the past */
    uint64_t resets_at; /* sched ms */
    bool stopped;       /* GOAWAY has come */
    bool draining, going_away, over;
    const char *problem;
    char error[100]; /* the text of `problem` for invalid frames */

    nghttp2_nv *fields; /* scratch for one head */
    size_t field_room;
    struct head_text names; /* scratch: names in lower case */
};

static inline struct h2_stream *h2_stream_of(struct message_stream *m)
{
    return container_of(m, struct h2_stream, message);
}

/* h2_events.c */
nghttp2_session_callbacks *h2_callbacks_create(void);

/* h2_settings.c */
void h2_settings_submit(struct h2_connection *c);

/* h2_connection.c */
/* Is it one that nghttp2 has begun?  Else the far end cannot know of it. */
bool h2_was_sent(const struct h2_connection *c, const struct h2_stream *s);

/* h2_stream.c */
struct h2_stream *h2_stream_get(struct h2_connection *c, int32_t id);
/* nghttp2 has closed it, or the connection has ended. */
void h2_stream_on_close(struct h2_stream *s, enum verdict verdict, uint32_t code);
/* It was not sent, and will not be; nghttp2 closes it later. */
void h2_stream_give_up(struct h2_stream *s);
/* Client: give up those that the far end would let wait for others to end. */
void h2_streams_give_up_queued(struct h2_connection *c);
/* A server's that has sent all: its client has a moment to end the request, else it is reset. */
void h2_stream_linger(struct h2_stream *s);
void h2_on_linger(struct timer *t);
void h2_stream_on_data(struct h2_stream *s, const uint8_t *bytes, size_t n);
nghttp2_data_provider h2_stream_source(struct h2_stream *s);
int h2_stream_send(struct h2_stream *s, const uint8_t *frame_head, size_t n);
/* After a flush: is it stuck? */
void h2_stream_settle(struct h2_stream *s);

/* h2_memory.c */
nghttp2_mem h2_memory(struct h2_connection *c);
void h2_memory_trim(struct h2_settings *settings);

/* h2_heads.c */
void h2_head_begin(struct h2_stream *s, bool trailers);
void h2_head_add(struct h2_stream *s, struct str name, struct str value);
void h2_head_finish(struct h2_stream *s);
/* Fields for nghttp2, in the connection's scratch; valid until the next call. */
size_t h2_request_fields(struct h2_connection *c, const struct http1_head *head,
                         const struct request_form *form);
size_t h2_answer_fields(struct h2_connection *c, const struct http1_head *head,
                        int status);
size_t h2_trailer_fields(struct h2_connection *c, struct str lines);
