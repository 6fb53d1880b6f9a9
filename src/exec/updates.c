/* exec/updates.c - keeps the hosts file of a view up to date while its command runs */
#include "exec/updates.h"

#include <poll.h>
#include <time.h>

#include "control/client.h"

#define RETRY_MS 1000

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Reads the lines that have arrived.  ERR_AGAIN: all of them. */
static enum err read_lines(struct updates *u, bool *ret_changed)
{
    struct str line;
    enum err e;

    while (!(e = control_lines_read(u->lines, &line)))
        *ret_changed |= service_names_take(&u->names, line);
    return e;
}

static void tell_left_out(struct updates *u)
{
    if (u->names.left_out == u->told)
        return;
    u->told = u->names.left_out;
    u->on_left_out(u->told);
}

enum err updates_begin(struct updates *u, unsigned deadline_ms, struct diag *why)
{
    int64_t until = now_ms() + deadline_ms;
    bool changed = false;
    enum err e = control_lines_open(u->name, u->path, &u->lines, why);

    if (e)
        return e;
    service_names_begin(&u->names);
    while ((e = read_lines(u, &changed)) == ERR_AGAIN && !u->names.ready) {
        struct pollfd p = { .fd = control_lines_fd(u->lines), .events = POLLIN };
        int64_t left = until - now_ms();
        if (left <= 0 || poll(&p, 1, (int)left) == 0)
            return diag_set(why, ERR_TIMEOUT, "kube-tunnel has not sent its names");
    }
    tell_left_out(u);
    return u->names.ready
               ? OK
               : diag_set(why, e, "kube-tunnel has ended while it sent its names");
}

static void lose_stream(struct updates *u)
{
    control_lines_close(u->lines);
    u->lines = NULL;
}

/* Names that do not fit into the file are left out, and tried again at the next change. */
static void take_lines(struct updates *u)
{
    bool changed = false;

    if (read_lines(u, &changed) != ERR_AGAIN)
        lose_stream(u);
    tell_left_out(u);
    if (changed && u->hosts && service_names_store(&u->names, u->hosts, NULL))
        return;
}

static void open_again(struct updates *u)
{
    if (control_lines_open(u->name, u->path, &u->lines, NULL)) {
        u->lines = NULL;
        return;
    }
    service_names_begin(&u->names);
    take_lines(u); /* the first came with the head */
}

void updates_run(struct updates *u, int ended)
{
    for (;;) {
        struct pollfd p[] = { { .fd = ended, .events = POLLIN },
                              { .fd = u->lines ? control_lines_fd(u->lines) : -1,
                                .events = POLLIN } };
        int n = poll(p, 2, u->lines ? -1 : RETRY_MS);
        if (n > 0 && p[0].revents)
            return;
        if (n > 0 && p[1].revents)
            take_lines(u);
        else if (!u->lines)
            open_again(u);
    }
}

void updates_finish(struct updates *u)
{
    lose_stream(u);
    service_names_finish(&u->names);
    hosts_destroy(u->hosts);
    u->hosts = NULL;
}
