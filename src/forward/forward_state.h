/* forward/forward_state.h - the state of a forward
 *
 * Private to forward/.
 */
#pragma once

#include "forward/parts.h"

struct target;

/* A token for each line that may be reported now. */
struct notices {
    uint32_t tokens;
    uint64_t refilled_at;
    uint64_t left_out;
};

struct forward {
    struct forward_parts parts;
    struct sched *sched;
    struct task task; /* woken when a target has become ready, or has failed */
    struct target *targets;
    size_t target_count;
    bool listening, failed;
    struct list_node listeners;
    size_t connections;
    struct notices notices;
};

/* A line on standard error, unless there were many lately. */
void forward_notice(struct forward *f, const char *format, ...) PRINTF_LIKE(2, 3);
/* Errors of the start, as kubectl prints them. */
void forward_print_error(struct forward *f, const struct target *t, const char *text);
void forward_print_api_error(struct forward *f, const struct target *t,
                             const struct api_error *error, bool dialled);

/* forward/ports_open.c: all ports of a target.  False: none could be opened, which was
 * reported. */
bool forward_listen(struct forward *f, struct target *t);
void forward_stop_listening(struct forward *f);
