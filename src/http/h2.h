/* http/h2.h - HTTP/2 connections (RFC 9113), of clients and to pods
 *
 * A connection carries many message streams (http/message.h) on one stream of bytes, which it
 * borrows.  nghttp2 reads and writes frames; its callbacks only note what came and wake
 * tasks.  Limits of what the far end can make us hold or do:
 *
 *   memory     nghttp2's own, H2_MEMORY_MAX for a connection; heads, as in HTTP/1, by
 *              max_head_size and max_head_fields; bodies by the window of each stream.  All of
 *              it counts for the chunk pool's limit.
 *   streams    streams_max at once; resets by the far end at most 1,000 at once and 33 a second.
 *   frames     8 CONTINUATIONs for a head, 32 settings in a frame, 1,000 answers to PING and
 *              SETTINGS that wait to be sent.  A connection that passes one of these ends.
 *   time       our SETTINGS are acknowledged within 10 s.
 */
#pragma once

#include "base/list.h"
#include "http/message.h"

#define H2_MEMORY_MAX (4u << 20)
#define H2_STREAMS_ASSUMED 100u /* that a server accepts, before its SETTINGS have come */
#define H2_BLOCK_CLASSES 17 /* free lists of nghttp2's memory, for blocks up to 1 KiB */

struct h2_block;

/* Made once for all connections of a kind; their unused memory is in here. */
struct h2_settings {
    struct sched *sched;
    struct chunk_pool *pool;
    size_t max_head_size, max_head_fields;
    uint32_t streams_max;    /* that the far end may open at once, or we may */
    uint32_t window;         /* of a stream: bytes of a body that were not taken yet */
    struct list_node unused; /* private */
    size_t unused_count;
    struct h2_block *blocks[H2_BLOCK_CLASSES]; /* private: free lists by size class */
    size_t blocks_kept;                        /* bytes in them */
    void *options, *callbacks;                 /* nghttp2's */
};

struct h2_limits {
    size_t max_head_size, max_head_fields;
    uint32_t streams_max, window;
};

/* The caller has set the fields before `unused`. */
void h2_settings_init(struct h2_settings *s);
/* Of heads from now on, and of streams on connections that are created from now on. */
void h2_settings_change(struct h2_settings *s, const struct h2_limits *limits);
void h2_settings_finish(struct h2_settings *s); /* no connection is left */
void h2_settings_trim(struct h2_settings *s);

/* What the far end has shown to speak. */
enum h2_peer {
    H2_PEER_UNKNOWN, /* nothing came yet */
    H2_PEER_HTTP2,
    H2_PEER_OTHER, /* its first bytes are no SETTINGS frame: nothing was processed */
};

struct h2_connection;

/* `below` is borrowed until h2_destroy, its wake is the connection's.  *wake runs when a
 * message stream came, one has ended, or one of the questions below has another answer. */
struct h2_connection *h2_server_create(struct h2_settings *s, struct stream *below,
                                       struct task *wake);
struct h2_connection *h2_client_create(struct h2_settings *s, struct stream *below,
                                       struct task *wake);
/* Message streams that are still used end, with the verdict of `below` if it has one. */
void h2_destroy(struct h2_connection *c);

/* The next request of a client, whose head is complete; NULL: there is none.  The caller sets
 * its bytes->wake, and gives it back with stream_close or stream_abort of its bytes. */
struct message_stream *h2_accept(struct h2_connection *c);
/* A message stream for a request to a pod; NULL: there is no capacity.  Likewise. */
struct message_stream *h2_open(struct h2_connection *c);

size_t
h2_capacity(const struct h2_connection *c); /* client: streams that may be opened now */
/* Client: until the far end's SETTINGS come, do as if they accepted `n` streams (0: unknown). */
void h2_assume_streams(struct h2_connection *c, uint32_t n);
/* What they have accepted; without a number in them, very many. */
uint32_t h2_streams_accepted(const struct h2_connection *c);
size_t h2_count(const struct h2_connection *c); /* streams that have not ended */
enum h2_peer h2_peer(const struct h2_connection *c);
bool h2_has_settings(const struct h2_connection *c); /* the far end's first have come */
/* The far end accepts extended CONNECT (RFC 8441). */
bool h2_accepts_connect(const struct h2_connection *c);
bool h2_is_draining(
    const struct h2_connection *c); /* no stream will be opened any more */
/* Nothing more is read or written, but what is in below->out. */
bool h2_is_over(const struct h2_connection *c);
const char *h2_problem(const struct h2_connection *c); /* why it ended; or NULL */

/* Let streams end, and no further one begin.  A client is sent GOAWAY twice: once to stop, once
 * when it has seen that. */
void h2_drain(struct h2_connection *c);
/* End at once with GOAWAY; it is over when below->out is empty. */
void h2_terminate(struct h2_connection *c, uint32_t code);

/* Does this request ask for another protocol, as HTTP/2 has it, too (extended CONNECT)?  An
 * offer of HTTP/2 itself does not count: it may be declined. */
bool h2_is_upgrade(const struct http1_head *head);

/* Is `m` a message stream of HTTP/2?  Then its connection's far end may speak gRPC. */
bool h2_owns(const struct message_stream *m);
