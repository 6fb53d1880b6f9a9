/* control/reader.h - readers of the event stream
 *
 * A reader gets a line of JSON for each request and raw connection that ends and passes its
 * filters.  Lines wait
 * in its queue, at most READER_ROOM bytes; what does not fit is counted and reported in the
 * next line that does.  Private to control/.
 */
#pragma once

#include "base/list.h"
#include "base/sched.h"
#include "base/str.h"
#include "control/reader_filter.h"

#define READERS_MAX 8
#define READER_ROOM (1u << 20)

struct bufq;
struct control;

struct reader {
    struct control *control; /* NULL: it is not added */
    struct list_node node;
    struct reader_filter filter;
    struct bufq *out;   /* borrowed */
    struct task *flush; /* borrowed: woken when there is much to send, or after a while */
    uint64_t lost;      /* events, since the last line that fitted */
};

/* The filters of a query.  ERR_CONFIG: *why names the parameter. */
MUST_CHECK enum err reader_filter_read(struct str query, struct reader_filter *ret,
                                       struct diag *why);
/* ERR_LIMIT: there are READERS_MAX.  `r` has its filter, out and flush. */
MUST_CHECK enum err reader_add(struct reader *r, struct control *c);
/* Frees the filter, too; idempotent. */
void reader_remove(struct reader *r);
/* "end": the last line of the stream. */
void reader_end(struct reader *r);

/* For the control: the timer that flushes, and what requests are kept. */
void readers_init(struct control *c);
void readers_finish(struct control *c);
