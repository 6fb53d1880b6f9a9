/* forward/forward.c - local ports that lead to pods: the start, and what is reported */
#include "forward/forward.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/own.h"
#include "forward/forward_state.h"
#include "forward/target.h"
#include "tunnel/tunnels.h"

#define NOTICES_MAX 10 /* at once; then one a second */
#define REFILL_MS 1000

/* --- reports --- */

static bool take_token(struct notices *n, uint64_t now)
{
    uint64_t fresh = (now - n->refilled_at) / REFILL_MS;

    n->tokens =
        fresh >= NOTICES_MAX - n->tokens ? NOTICES_MAX : n->tokens + (uint32_t)fresh;
    n->refilled_at += fresh * REFILL_MS;
    if (!n->tokens) {
        n->left_out++;
        return false;
    }
    n->tokens--;
    return true;
}

static void print(struct forward *f, const char *line)
{
    f->parts.report.err(f->parts.report.owner, line);
}

void forward_notice(struct forward *f, const char *format, ...)
{
    char text[1024];
    va_list args;

    if (!take_token(&f->notices, f->sched->now))
        return;
    if (f->notices.left_out) {
        snprintf(text, sizeof(text), "(%llu lines were left out)",
                 (unsigned long long)f->notices.left_out);
        print(f, text);
        f->notices.left_out = 0;
    }
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    print(f, text);
}

void forward_print_error(struct forward *f, const struct target *t, const char *text)
{
    const char *origin = t->spec->origin;
    AUTO_FREE char *line =
        xasprintf("error: %s%s%s", origin ? origin : "", origin ? ": " : "", text);
    print(f, line);
}

/* The reason of a Status, by its code. */
static const char *reason_of(int status)
{
    switch (status) {
    case 400:
        return "BadRequest";
    case 403:
        return "Forbidden";
    case 404:
        return "NotFound";
    case 409:
        return "Conflict";
    case 429:
        return "TooManyRequests";
    case 503:
        return "ServiceUnavailable";
    case 504:
        return "Timeout";
    default:
        return "InternalError";
    }
}

static char *connect_text(const struct forward *f, const char *why)
{
    if (!strstr(why, "refused"))
        return xasprintf("Unable to connect to the server: %s", why);
    return xasprintf("The connection to the server %s was refused - did you specify the "
                     "right host or port?",
                     api_target(f->parts.api)->host_header);
}

void forward_print_api_error(struct forward *f, const struct target *t,
                             const struct api_error *error, bool dialled)
{
    const char *origin = t->spec->origin, *why = diag_text(&error->why, error->code);
    AUTO_FREE char *upgrading = xasprintf("error upgrading connection: %s", why);
    AUTO_FREE char *text = NULL;

    if (error->status == 401) {
        forward_print_error(f, t, "You must be logged in to the server (Unauthorized)");
        return;
    }
    if (dialled || (!error->status && error->code != ERR_CONNECT)) {
        forward_print_error(f, t, dialled ? upgrading : why);
        return;
    }
    text = error->status
               ? xasprintf("Error from server (%s): %s", reason_of(error->status), why)
               : connect_text(f, why);
    AUTO_FREE char *line =
        xasprintf("%s%s%s", origin ? origin : "", origin ? ": " : "", text);
    print(f, line);
}

/* --- the start --- */

static void fail_forward(struct forward *f)
{
    f->failed = true;
    f->parts.report.failed(f->parts.report.owner);
}

/* The ports are opened in the order of the targets, once all are ready. */
static void on_progress(struct task *task)
{
    struct forward *f = container_of(task, struct forward, task);
    bool all = true;

    if (f->listening || f->failed)
        return;
    for (size_t i = 0; i < f->target_count; i++) {
        if (f->targets[i].state == TARGET_FAILED) {
            fail_forward(f);
            return;
        }
        all &= f->targets[i].started;
    }
    if (!all)
        return;
    f->listening = true;
    for (size_t i = 0; i < f->target_count; i++) {
        if (forward_listen(f, &f->targets[i]))
            continue;
        fail_forward(f);
        return;
    }
}

struct forward *forward_open(const struct forward_parts *parts)
{
    struct forward *f = xcalloc(1, sizeof(*f));

    f->parts = *parts;
    f->sched = loop_sched(parts->loop);
    f->notices = (struct notices){ NOTICES_MAX, f->sched->now, 0 };
    list_init(&f->listeners);
    task_init(&f->task, f->sched, RANK_WORK, on_progress);
    f->targets = xcalloc(parts->specs->count, sizeof(*f->targets));
    f->target_count = parts->specs->count;
    for (size_t i = 0; i < f->target_count; i++)
        target_init(&f->targets[i], f, &parts->specs->at[i], parts->ns);
    return f;
}

bool forward_is_listening(const struct forward *f)
{
    return f->listening && !f->failed;
}

void forward_check(struct forward *f, const char *why)
{
    tunnels_check(f->parts.tunnels, why);
}

void forward_close(struct forward *f)
{
    if (!f)
        return;
    forward_stop_listening(f);
    for (size_t i = 0; i < f->target_count; i++)
        target_finish(&f->targets[i]);
    free(f->targets);
    task_cancel(&f->task);
    free(f);
}
