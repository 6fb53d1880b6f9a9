/* net/process.h - run a program and collect its output
 *
 * One struct process per run: the program has no shell around it, inherits no descriptor
 * but its three standard ones, and runs in a process group of its own unless it is given
 * the terminal.  Standard output is kept up to a limit, standard error is passed to a
 * callback as it is read.  The run is over when the program has ended and its output is
 * read to the end; output of a descendant that still runs then is ignored.
 */
#pragma once

#include "net/loop.h"

struct process;

struct process_request {
    const char *path;        /* of the program: no search */
    const char *const *argv; /* NULL at the end, like the next one */
    const char *const *environment;
    bool terminal;     /* it gets our standard input and process group */
    size_t output_max; /* bytes of standard output; the run ends if there are more */
    void (*on_stderr)(void *owner, struct str errors); /* standard error; may be NULL */
    void *owner;
};

struct process_result {
    enum err result;   /* ERR_AGAIN: running; OK: ended by itself; ERR_TIMEOUT: stopped;
                        ERR_LIMIT: output over its limit; else it could not be started */
    int status;        /* exit status, or -1 */
    int signal;        /* that ended it, or 0 */
    struct str output; /* valid until process_close */
    struct diag why;   /* without a result of OK */
};

/* The request is borrowed for the call, except for `owner`.  The task is woken once, when
 * the run is over; that is at once if the program cannot be started. */
struct process *process_start(struct loop *l, const struct process_request *r,
                              struct task *wake);
const struct process_result *process_result(const struct process *p);

/* SIGTERM to the group, SIGKILL PROCESS_GRACE_MS later.  The run ends with ERR_TIMEOUT. */
#define PROCESS_GRACE_MS 1000
void process_stop(struct process *p);

/* Kills the group if the program runs, at once, and waits for nothing; NULL accepted. */
void process_close(struct process *p);

/* Is standard input a terminal, and this process in its foreground process group? */
bool process_has_terminal(void);
