/* cli/progress.c - a line on the terminal while a command takes long */
#include "cli/progress.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define FIRST_MS 1000
#define NEXT_MS 500

/* From its begin, without the rest of a longer line. */
static void on_tick(struct timer *t)
{
    struct progress *p = container_of(t, struct progress, tick);
    unsigned long long seconds = (t->sched->now - p->began) / 1000;

    fprintf(stderr, "\rkube-tunnel: %s, %llu s", p->what, seconds);
    if (p->count && *p->count)
        fprintf(stderr, ", %zu so far", *p->count);
    fputs("\033[K", stderr);
    p->shown = true;
    timer_set(t, NEXT_MS);
}

static bool has_terminal(void)
{
    const char *kind = getenv("TERM");

    return isatty(STDERR_FILENO) && !(kind && strcmp(kind, "dumb") == 0);
}

void progress_begin(struct progress *p, struct sched *sched, const char *what,
                    const size_t *count)
{
    *p = (struct progress){ .what = what, .count = count, .began = sched->now };
    timer_init(&p->tick, sched, on_tick);
    if (has_terminal())
        timer_set(&p->tick, FIRST_MS);
}

void progress_end(struct progress *p)
{
    if (!p->what)
        return;
    timer_stop(&p->tick);
    if (p->shown)
        fputs("\r\033[K", stderr);
    *p = (struct progress){ 0 };
}

/* What the signal handler needs, which has no argument. */
static struct {
    char text[128];
    volatile sig_atomic_t shown;
} call;

static void on_alarm(int number)
{
    (void)number;
    ssize_t n = write(STDERR_FILENO, call.text, strlen(call.text));
    call.shown = n > 0;
}

static void set_alarm(int milliseconds)
{
    const struct itimerval after = { .it_value = { .tv_sec = milliseconds / 1000 } };

    setitimer(ITIMER_REAL, &after, NULL);
}

void progress_begin_call(const char *what)
{
    const struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };

    if (!has_terminal())
        return;
    snprintf(call.text, sizeof(call.text), "\rkube-tunnel: %s\033[K", what);
    call.shown = 0;
    sigaction(SIGALRM, &action, NULL);
    set_alarm(FIRST_MS);
}

void progress_end_call(void)
{
    set_alarm(0);
    if (call.shown)
        fputs("\r\033[K", stderr);
    call.shown = 0;
}
