/* doctor/run.c - run the checks of the table, in parallel where they are independent */
#include <stdarg.h>
#include <stdio.h>

#include "base/own.h"
#include "base/utf8.h"
#include "doctor/checks.h"

static const struct {
    const char *name;
    uint64_t deadline_ms;
    unsigned needs;
    void (*run)(struct doctor *d, struct finding *f);
} checks[CHECK_COUNT] = {
#define X(ID, name, ms, needs, run) [CHECK_##ID] = { name, ms, needs, run },
    CHECKS(X)
#undef X
};

void found(struct finding *f, enum finding_status status, const char *format, ...)
{
    va_list ap;

    f->status = status;
    va_start(ap, format);
    vsnprintf(f->text, sizeof(f->text), format, ap);
    va_end(ap);
    text_make_printable(f->text, false);
}

void found_fix(struct finding *f, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(f->fix, sizeof(f->fix), format, ap);
    va_end(ap);
    text_make_printable(f->fix, true);
}

uint64_t doctor_now(const struct doctor *d)
{
    return loop_sched(d->loop)->now;
}

bool check_begins(struct doctor *d, enum check_id id)
{
    bool begins = !d->begun[id];

    d->begun[id] = true;
    return begins;
}

static bool is_bad(const struct finding *f)
{
    return f->status == FINDING_FAILED || f->status == FINDING_SKIPPED;
}

/* Returns the check that this one depends on and that has no result, or a bad one. */
static size_t find_need(const struct doctor *d, size_t i, bool *ret_bad)
{
    for (size_t need = 0; need < CHECK_COUNT; need++) {
        const struct finding *f = &d->findings[need];
        *ret_bad = is_bad(f);
        if (checks[i].needs & 1u << need && (f->status == FINDING_PENDING || is_bad(f)))
            return need;
    }
    return CHECK_COUNT;
}

static bool is_late(const struct doctor *d, size_t i)
{
    return doctor_now(d) - d->began[i] >= checks[i].deadline_ms;
}

static void run_check(struct doctor *d, size_t i)
{
    struct finding *f = &d->findings[i];
    bool bad = false;
    size_t need = find_need(d, i, &bad);

    if (need < CHECK_COUNT) {
        if (bad)
            found(f, FINDING_SKIPPED, "depends on: %s", checks[need].name);
        return;
    }
    if (!d->began[i])
        d->began[i] = doctor_now(d);
    checks[i].run(d, f);
    if (f->status == FINDING_PENDING && is_late(d, i)) {
        found(f, FINDING_FAILED, "no result within %llu s",
              (unsigned long long)(checks[i].deadline_ms / 1000));
        found_fix(f, "see what this machine and the server are busy with, and try again");
    }
    f->ms = doctor_now(d) - d->began[i];
}

static bool run_pending(struct doctor *d)
{
    bool changed = false;

    for (size_t i = 0; i < CHECK_COUNT; i++) {
        if (d->findings[i].status != FINDING_PENDING)
            continue;
        run_check(d, i);
        changed = changed || d->findings[i].status != FINDING_PENDING;
    }
    return changed;
}

/* Returns false when every check has a result. */
static bool set_deadline(struct doctor *d)
{
    uint64_t earliest = UINT64_MAX;

    for (size_t i = 0; i < CHECK_COUNT; i++) {
        uint64_t at = d->began[i] + checks[i].deadline_ms;
        if (d->findings[i].status == FINDING_PENDING && d->began[i] && at < earliest)
            earliest = at;
    }
    if (earliest < UINT64_MAX)
        timer_set_at(&d->deadline, earliest);
    return earliest < UINT64_MAX;
}

static void on_wake(struct task *t)
{
    struct doctor *d = container_of(t, struct doctor, task);

    while (run_pending(d))
        continue; /* a result lets others begin */
    if (!set_deadline(d))
        loop_stop(d->loop);
}

static void on_deadline(struct timer *t)
{
    task_wake(&container_of(t, struct doctor, deadline)->task);
}

static void doctor_finish(struct doctor *d)
{
    names_finish(d);
    tunnel_finish(d);
    access_finish(d);
    server_finish(d);
    timer_stop(&d->deadline);
    task_cancel(&d->task);
    loop_destroy(d->loop);
}

struct finding *doctor_run(const struct doctor_question *q, size_t *ret_count)
{
    struct doctor d = { .question = q, .config = q->config, .loop = loop_create() };
    struct finding *findings = xcalloc(CHECK_COUNT, sizeof(*findings));

    task_init(&d.task, loop_sched(d.loop), RANK_WORK, on_wake);
    timer_init(&d.deadline, loop_sched(d.loop), on_deadline);
    for (size_t i = 0; i < CHECK_COUNT; i++)
        d.findings[i].name = checks[i].name;
    task_wake(&d.task);
    loop_run(d.loop);
    memcpy(findings, d.findings, sizeof(d.findings));
    doctor_finish(&d);
    *ret_count = CHECK_COUNT;
    return findings;
}

bool doctor_found_failure(const struct finding *findings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (findings[i].status == FINDING_FAILED)
            return true;
    return false;
}
