/* resolver/install.c - do the steps of a plan, and undo them
 *
 * The journal is there before the first step and until after the last one is undone.  Steps are
 * found done or not by looking, so a crash at any moment leaves what uninstall can undo, and
 * what install can complete.
 */
#include "base/own.h"
#include "resolver/backend.h"
#include "resolver/journal.h"
#include "resolver/lock.h"
#include "resolver/print_step.h"

static void finish_unread(struct journal *j, enum err e)
{
    if (e)
        *j = (struct journal){ 0 };
}

/* Before the journal is read, so that it stays as it was read.  What may not or must not change
 * it (--dry-run) needs no lock. */
static enum err lock_journal(const struct resolver_run *r, struct lock *ret,
                             struct diag *why)
{
    if (r->dry || !journal_is_permitted(&r->machine))
        return OK;
    return lock_take(&r->machine, r->wait_ms, ret, why);
}

/* ---- undoing ---- */

/* A folder of ours that could not be removed, because of a step behind it that is left. */
static bool is_held(const struct resolver_run *r, const struct step *s,
                    const struct plan *left)
{
    return s->kind == STEP_FOLDER && !s->before && left->count &&
           step_look(&r->machine, s, NULL) == STEP_DONE;
}

/* A command that fails has undone what it could; a file that another program has changed is
 * kept in the journal. */
static void undo_one(const struct resolver_run *r, struct step *s, struct plan *ret_left,
                     enum err *ret, struct diag *why)
{
    struct diag wrong = { "" };
    bool nothing = step_look(&r->machine, s, NULL) == STEP_BEFORE;
    enum err e = step_undo(&r->machine, s, &wrong);

    if (e || !nothing)
        print_step(r, s, e ? PRINT_FAILED : PRINT_UNDONE, diag_text(&wrong, e));
    if (e) {
        *ret = e;
        if (why)
            *why = wrong;
    }
    if (e ? s->kind != STEP_COMMAND : is_held(r, s, ret_left))
        plan_add(ret_left, s->kind, s->path, s->before, s->after);
}

static void reverse(struct plan *p)
{
    for (size_t i = 0; i < p->count / 2; i++) {
        struct step other = p->at[i];
        p->at[i] = p->at[p->count - 1 - i];
        p->at[p->count - 1 - i] = other;
    }
}

static enum err undo_all(const struct resolver_run *r, struct journal *j,
                         struct diag *why)
{
    AUTO(plan_finish) struct plan left = { 0 };
    enum err failed = OK;

    for (size_t i = j->plan.count; i > 0; i--)
        undo_one(r, &j->plan.at[i - 1], &left, &failed, why);
    if (!left.count) {
        enum err e = journal_remove(&r->machine, why);
        return e ? e : failed;
    }
    reverse(&left);
    struct plan all = j->plan;
    j->plan = left;
    enum err e = journal_write(&r->machine, j, why);
    j->plan = all;
    return e ? e : failed;
}

static bool is_permitted(const struct resolver_run *r, const struct plan *p)
{
    bool permitted = journal_is_permitted(&r->machine);

    for (size_t i = 0; permitted && i < p->count; i++)
        permitted = step_is_permitted(&r->machine, &p->at[i]);
    return permitted;
}

enum err resolver_uninstall(const struct resolver_run *r, struct diag *why)
{
    AUTO(journal_finish) struct journal j = { 0 };
    AUTO(lock_release) struct lock lock = { 0 };
    enum err e = lock_journal(r, &lock, why);

    if (e && e != ERR_NOT_FOUND)
        return e;
    e = journal_read(&r->machine, &j, why);
    finish_unread(&j, e);
    if (e && e != ERR_NOT_CONFIGURED)
        return e;
    if (e)
        fprintf(r->out, "nothing is installed\n");
    if (r->dry) {
        for (size_t i = j.plan.count; i > 0; i--)
            print_step(r, &j.plan.at[i - 1], PRINT_WOULD_UNDO, NULL);
        return OK;
    }
    if (!is_permitted(r, &j.plan))
        return e ? OK : ERR_ACCESS;
    return e ? journal_remove(&r->machine, why) : undo_all(r, &j, why);
}

/* ---- doing ---- */

static enum err make_plan(const struct resolver_run *r, struct resolver_want *want,
                          struct plan *ret, struct diag *why)
{
    const struct backend *b = backend_find(&r->machine, want->backend);

    if (!b)
        return diag_set(why, ERR_NOT_FOUND,
                        "no resolver was found that kube-tunnel can configure: choose "
                        "one with --backend");
    if (!want->backend)
        want->backend = xstrdup(b->name);
    enum err e = resolver_want_check(want, why);
    if (!e)
        e = b->plan(&r->machine, want, ret, why);
    return e ? e : low_ports_plan(want, ret, why);
}

static void copy_want(const struct resolver_want *w, struct resolver_want *ret)
{
    *ret = (struct resolver_want){
        .backend = xstrdup_or_null(w->backend),
        .server = xstrdup_or_null(w->server),
        .port = w->port,
        .low_ports = xstrdup_or_null(w->low_ports),
        .program = xstrdup_or_null(w->program),
        .user = xstrdup_or_null(w->user),
        .names = xstrdup_or_null(w->names),
    };
    for (size_t i = 0; i < w->domains.count; i++)
        texts_add(&ret->domains, xstrdup(w->domains.at[i]));
}

static enum err prepare_all(const struct resolver_run *r, struct plan *p,
                            struct diag *why)
{
    enum err e = OK;

    for (size_t i = 0; !e && i < p->count; i++)
        e = step_prepare(&r->machine, &p->at[i], why);
    return e;
}

static enum err apply_all(const struct resolver_run *r, const struct plan *p,
                          struct diag *why)
{
    enum err e = OK;

    for (size_t i = 0; !e && i < p->count; i++) {
        const struct step *s = &p->at[i];
        if (step_look(&r->machine, s, NULL) == STEP_DONE)
            continue;
        e = step_apply(&r->machine, s, why);
        print_step(r, s, e ? PRINT_FAILED : PRINT_DONE, diag_text(why, e));
    }
    return e;
}

static enum err install_new(const struct resolver_run *r, struct journal *j,
                            struct diag *why)
{
    enum err e = prepare_all(r, &j->plan, why);

    if (!e)
        e = journal_write(&r->machine, j, why);
    if (e)
        return e;
    e = apply_all(r, &j->plan, why);
    if (!e)
        return OK;
    fprintf(r->out, "a step failed: those before it are undone\n");
    (void)undo_all(r, j, NULL);
    return e;
}

static bool is_done(const struct resolver_run *r, const struct plan *p)
{
    bool done = true;

    for (size_t i = 0; done && i < p->count; i++) {
        enum step_state state = step_look(&r->machine, &p->at[i], NULL);
        done = state == STEP_DONE || state == STEP_UNKNOWN;
    }
    return done;
}

/* The journal is written again: the one that a crash left may not be permanent yet, and what
 * was wanted may differ although the steps are the same. */
static enum err complete(const struct resolver_run *r, const struct journal *j,
                         struct diag *why)
{
    enum err e = journal_write(&r->machine, j, why);

    if (e)
        return e;
    for (size_t i = 0; i < j->plan.count; i++)
        step_tidy(&r->machine, &j->plan.at[i]);
    if (is_done(r, &j->plan)) {
        fprintf(r->out, "already installed, for %s\n", j->want.backend);
        return OK;
    }
    return apply_all(r, &j->plan, why);
}

static enum err install_over(const struct resolver_run *r, struct journal *old,
                             struct journal *new, struct diag *why)
{
    if (plan_is_same(&old->plan, &new->plan)) {
        const struct journal j = { new->want, old->plan };
        return complete(r, &j, why);
    }
    enum err e = undo_all(r, old, why);
    return e ? e : install_new(r, new, why);
}

static void print_plan(const struct resolver_run *r, const struct journal *old,
                       const struct journal *new)
{
    bool same = plan_is_same(&old->plan, &new->plan);

    fprintf(r->out, "for %s\n", new->want.backend);
    for (size_t i = same ? 0 : old->plan.count; i > 0; i--)
        print_step(r, &old->plan.at[i - 1], PRINT_WOULD_UNDO, NULL);
    for (size_t i = 0; i < new->plan.count; i++)
        if (!same || step_look(&r->machine, &new->plan.at[i], NULL) != STEP_DONE)
            print_step(r, &new->plan.at[i], PRINT_WOULD_DO, NULL);
}

static enum err install_locked(const struct resolver_run *r, struct journal *old,
                               bool is_new, struct resolver_want *want, struct diag *why)
{
    AUTO(journal_finish) struct journal new = { 0 };
    enum err e = make_plan(r, want, &new.plan, why);

    if (e)
        return e;
    copy_want(want, &new.want);
    if (r->dry) {
        print_plan(r, old, &new);
        return OK;
    }
    if (!is_permitted(r, &new.plan) || !is_permitted(r, &old->plan))
        return ERR_ACCESS;
    return is_new ? install_new(r, &new, why) : install_over(r, old, &new, why);
}

enum err resolver_install(const struct resolver_run *r, struct resolver_want *want,
                          struct diag *why)
{
    AUTO(journal_finish) struct journal old = { 0 };
    AUTO(lock_release) struct lock lock = { 0 };
    enum err e = lock_journal(r, &lock, why);

    if (!e)
        e = journal_read(&r->machine, &old, why);
    if (e && e != ERR_NOT_CONFIGURED)
        return e;
    return install_locked(r, &old, e == ERR_NOT_CONFIGURED, want, why);
}

enum err resolver_repair(const struct resolver_run *r, resolver_fill_fn *fill, void *arg,
                         struct resolver_want *ret_want, struct diag *why)
{
    AUTO(journal_finish) struct journal old = { 0 };
    AUTO(lock_release) struct lock lock = { 0 };
    enum err e = lock_journal(r, &lock, why);

    if (!e)
        e = journal_read(&r->machine, &old, why);
    if (e)
        return e;
    copy_want(&old.want, ret_want);
    e = fill(arg, ret_want);
    return e ? e : install_locked(r, &old, false, ret_want, why);
}
