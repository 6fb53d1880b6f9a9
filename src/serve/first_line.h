/* serve/first_line.h - is a client's first line an HTTP/1 request line?
 *
 * The client's first bytes stay in its queue while they may become one, for a limited time after
 * the last one came; then they are of another protocol.  A line that is too long for any pod counts
 * as HTTP/1: the session refuses it.  Private to serve/.
 */
#pragma once

#include "base/sched.h"
#include "detect/request_line.h"

struct stream;

struct first_line {
    enum line is; /* LINE_MORE: not known yet.  The owner may set it */
    struct request_line reader;
    size_t looked; /* bytes of the client's queue that `reader` has seen */
    struct timer hold;
    bool held_long; /* `hold` has fired: unless more has come, the wait is over */
    struct task *wake;
};

/* *wake is woken when the time for the rest of the line is over. */
void first_line_init(struct first_line *f, struct sched *sched, struct task *wake);
/* The first byte may take this long. */
void first_line_wait(struct first_line *f, uint64_t ms);
/* Read on in the client's queue, from which nothing was taken.  Is the connection HTTP/1?
 * longest: of a request line, in bytes. */
bool first_line_is_http(struct first_line *f, const struct stream *client,
                        size_t longest);
void first_line_stop(struct first_line *f); /* idempotent */
