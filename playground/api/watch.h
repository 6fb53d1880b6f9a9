/* playground/api/watch.h - the events of one watch, as text */
#pragma once

#include "playground/api/answer.h"

struct watch {
    struct watch_start start; /* owned; start.revision: that of the last event sent */
    bool columns_sent;        /* a table watch sends its columns once */
    bool over;                /* the client got the error that its revision is gone */
};

/* Appends the pending events, about `max` bytes at most; each line is one event. */
void watch_write(struct watch *w, const struct store *s, struct text *out, size_t max);
/* Appends a bookmark with the current revision. */
void watch_bookmark(struct watch *w, struct text *out);
