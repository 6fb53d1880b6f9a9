/* daemon/signals.c - what signals make the process do */
#include "daemon/signals.h"

#include <signal.h>

#include "base/log.h"
#include "base/own.h"
#include "daemon/daemon_state.h"
#include "daemon/ending.h"
#include "daemon/notify.h"
#include "daemon/outputs.h"
#include "daemon/reload.h"
#include "listen/clients.h"
#include "net/loop.h"

LOG_MODULE(daemon);

/* A shell that ends sends SIGHUP a moment before its terminal is gone. */
#define TERMINAL_MS 1000

static void on_signal(struct task *t)
{
    struct daemon *d = container_of(t, struct daemon, on_signal);

    if (d->signals > 1)
        loop_stop(d->loop);
    else if (d->state == DAEMON_RUNNING)
        ending_begin(d);
}

static bool lost_terminal(const struct daemon *d)
{
    return d->had_terminal && !start_has_terminal();
}

static void drain_without_terminal(struct daemon *d)
{
    log_info(NO_ID, "the terminal was closed");
    ending_begin(d);
}

static void on_terminal(struct timer *t)
{
    struct daemon *d = container_of(t, struct daemon, terminal);

    if (d->state == DAEMON_RUNNING && lost_terminal(d))
        drain_without_terminal(d);
}

enum err signals_reload(struct daemon *d, struct setting_changes *ret, struct diag *why)
{
    notify_reloading();
    enum err e = reload_run(d->reload, ret, why);
    notify("READY=1");
    return e;
}

/* Also sent when the terminal is closed, after which the process must not go on. */
static void on_hangup(struct task *t)
{
    struct daemon *d = container_of(t, struct daemon, on_hangup);

    if (d->state != DAEMON_RUNNING)
        return;
    if (lost_terminal(d)) {
        drain_without_terminal(d);
        return;
    }
    if (d->had_terminal)
        timer_set(&d->terminal, TERMINAL_MS);
    struct diag why = { "" };
    enum err e = d->reload ? signals_reload(d, NULL, &why) : OK;
    (void)e; /* it was logged */
}

/* Was the signal ignored at the start?  nohup sets SIGHUP so. */
static bool is_ignored(int signum)
{
    struct sigaction present;
    return sigaction(signum, NULL, &present) == 0 && present.sa_handler == SIG_IGN;
}

static void on_reopen(struct task *t)
{
    struct daemon *d = container_of(t, struct daemon, on_reopen);

    if (d->outputs)
        outputs_reopen(d->outputs);
}

void signals_listen(struct daemon *d)
{
    task_init(&d->on_reopen, loop_sched(d->loop), RANK_WORK, on_reopen);
    d->reopen = loop_signal_open(d->loop, SIGUSR1, &d->reopens, &d->on_reopen);
    task_init(&d->on_signal, loop_sched(d->loop), RANK_WORK, on_signal);
    d->terminate = loop_signal_open(d->loop, SIGTERM, &d->signals, &d->on_signal);
    d->interrupt = loop_signal_open(d->loop, SIGINT, &d->signals, &d->on_signal);
    task_init(&d->on_hangup, loop_sched(d->loop), RANK_WORK, on_hangup);
    timer_init(&d->terminal, loop_sched(d->loop), on_terminal);
    d->had_terminal = start_has_terminal();
    if (!is_ignored(SIGHUP))
        d->hangup = loop_signal_open(d->loop, SIGHUP, &d->hangups, &d->on_hangup);
}

void signals_stop(struct daemon *d, bool now)
{
    d->signals += now ? 2 : 1;
    task_wake(&d->on_signal);
}

void signals_reopen(struct daemon *d)
{
    task_wake(&d->on_reopen);
}

void signals_close(struct daemon *d)
{
    loop_signal_close(d->reopen);
    task_cancel(&d->on_reopen);
    loop_signal_close(d->hangup);
    loop_signal_close(d->interrupt);
    loop_signal_close(d->terminate);
    timer_stop(&d->terminal);
    task_cancel(&d->on_signal);
    task_cancel(&d->on_hangup);
}
