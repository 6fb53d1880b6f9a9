/* http/h1.h - the codecs of HTTP/1: one message at a time on a connection
 *
 * Both stand on the connection's stream, whose queues are those of the message: bodies move
 * from queue to queue with their framing (http/body.h).  Structs are embedded where a
 * connection is used, and keep their memory for the next message.
 */
#pragma once

#include "base/list.h"
#include "http/head_text.h"
#include "http/message.h"

struct h1_limits {
    size_t max_head_size, max_head_fields;
};

/* A client's connection. */
struct h1_server {
    struct message_stream message;
    struct h1_limits limits;
    struct head_text text;
    bool old;                /* the request is HTTP/1.0: no chunks, no interim answers */
    struct list_node member; /* of the free list */
};

/* Memory of codecs for the next requests, whatever connection they come on: one that is idle
 * holds none. */
struct h1_servers {
    struct h1_limits limits;
    struct list_node unused;
    size_t count;
};

void h1_servers_init(struct h1_servers *all, struct h1_limits limits);
void h1_servers_trim(struct h1_servers *all); /* frees all unused ones; also at the end */
/* For one request on this connection, which is borrowed. */
struct h1_server *h1_server_take(struct h1_servers *all, struct stream *connection);
void h1_server_put(struct h1_servers *all, struct h1_server *s);

/* A pod's connection, while one request uses it.  Heads are read where they lie: the head of
 * an answer comes in one chunk nearly always.  One that comes in several chunks is moved into
 * one piece of memory, because it may be larger than what a queue holds. */
struct h1_client {
    struct message_stream message;
    struct h1_limits limits;
    struct head_text text; /* a head that came in more than one chunk */
    size_t scanned;        /* of one that lies in the queue */
    size_t skip;           /* bytes of the last head that lie in the queue */
};

void h1_client_init(struct h1_client *c, struct h1_limits limits);
/* For the next request, on this connection; borrowed. */
void h1_client_begin(struct h1_client *c, struct stream *connection);
void h1_client_shrink(struct h1_client *c); /* frees what is more than is worth keeping */
void h1_client_finish(struct h1_client *c);
