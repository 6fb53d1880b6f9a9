/* serve/streams.h - the requests of a client's HTTP/2 connection, each an exchange of its own
 *
 * Stands between a session, which owns the connection's stream, and exchanges: accepts
 * message streams, starts an exchange for each, and waits until its response is sent.  A
 * stream that ends, stalls or gives way takes no other one with it.  Private to serve/.
 */
#pragma once

#include "base/log.h"
#include "net/stream.h"

struct client_loan;
struct holder;
struct serve;
struct streams;

/* The connection's preface lies in client->in; everything is borrowed.  loan->owner wakes when
 * something below may have changed; its message and holder are NULL. */
struct streams *streams_open(struct serve *serve, struct stream *client,
                             const struct client_loan *loan, struct log_id id);
/* Resets what runs; NULL accepted.  client->wake is NULL then. */
void streams_close(struct streams *s);

/* Free what is kept for the next requests. */
void streams_trim(struct serve *serve);

/* Start exchanges for the requests that came. */
void streams_run(struct streams *s);
size_t streams_count(const struct streams *s);   /* that have not ended */
uint64_t streams_begun(const struct streams *s); /* requests so far */
/* Nothing more will be read or written, but what is in client->out. */
bool streams_are_over(const struct streams *s);
/* A pod may have authenticated the connection, not a request. */
bool streams_are_paired(const struct streams *s);

/* No further request; those that run end in their own time. */
void streams_drain(struct streams *s);
/* Resets the requests to namespaces that are closed by now. */
void streams_close_denied(struct streams *s);
/* End the connection, as long as no request runs. */
void streams_end(struct streams *s);

/* `h` is of a stream: has it a connection to that pod? */
bool streams_own_holder(const struct holder *h);
bool streams_use_pod(const struct holder *h, const char *pod_key);
