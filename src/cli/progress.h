/* cli/progress.h - a line on the terminal while a command takes long
 *
 * Nothing for the first second, and nothing where standard error is no terminal: a pipe or a
 * file gets only the result.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/sched.h"

struct progress {
    const char *what;    /* "listing services"; NULL: it was not begun */
    const size_t *count; /* of what there is so far; NULL: it is not shown */
    struct timer tick;
    uint64_t began; /* sched ms */
    bool shown;
};

/* The texts and the count are borrowed until the end. */
void progress_begin(struct progress *p, struct sched *sched, const char *what,
                    const size_t *count);
/* Removes the line; idempotent, zeroed accepted. */
void progress_end(struct progress *p);

/* The same for work without a loop of ours: the line comes with SIGALRM and does not change.  One
 * at a time; the text is copied. */
void progress_begin_call(const char *what);
void progress_end_call(void); /* idempotent */
