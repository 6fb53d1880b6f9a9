/* resolver/print_step.c - a step in words */
#include "resolver/print_step.h"

#include "base/own.h"

static const char *const words[STEP_KIND_COUNT][4] = {
    /* done, undone, would be done, would be undone */
    [STEP_FOLDER] = { "made", "removed, if empty", "would be made", "would be removed" },
    [STEP_FILE] = { "written", "removed",
                    "would be written (mode 0644):", "would be removed" },
    [STEP_LINK] = { "made", "removed", "would be made, a link to", "would be removed" },
    [STEP_BLOCK] = { "lines added", "lines removed",
                     "lines would be added at the end:", "lines would be removed" },
    [STEP_TOP_BLOCK] = { "lines added", "lines removed",
                         "lines would be added at the beginning:",
                         "lines would be removed" },
    [STEP_CAPABILITY] = { "may listen on ports below 1024", "capability restored",
                          "would get the capability CAP_NET_BIND_SERVICE",
                          "would get its former capabilities" },
    [STEP_KERNEL] = { "set", "restored", "would be set to", "would be restored to" },
    [STEP_COMMAND] = { "done", "done", "would be run", "would be run" },
};

char *step_name(const struct step *s)
{
    return s->kind == STEP_COMMAND ? xasprintf("run: %s", s->after ? s->after : s->before)
                                   : xstrdup(s->path);
}

static void print_lines(const struct resolver_run *r, const char *text)
{
    struct str rest = str_of(text), line;

    while (!str_empty(rest)) {
        rest = str_cut(rest, '\n', &line);
        fprintf(r->out, "    %.*s\n", STR_ARG(line));
    }
}

static bool is_nothing(const struct resolver_run *r, const struct step *s,
                       enum step_print how)
{
    bool undo = how == PRINT_UNDONE || how == PRINT_WOULD_UNDO;

    if (s->kind == STEP_FOLDER)
        return s->before ||
               (how == PRINT_WOULD_DO && step_look(&r->machine, s, NULL) == STEP_DONE);
    if (s->kind == STEP_COMMAND)
        return how != PRINT_FAILED && !(undo ? s->before : s->after);
    return false;
}

/* With a value that is one line. */
static const char *value_of(const struct step *s, enum step_print how)
{
    if (how == PRINT_WOULD_DO && (s->kind == STEP_LINK || s->kind == STEP_KERNEL))
        return s->after;
    return how == PRINT_WOULD_UNDO && s->kind == STEP_KERNEL ? s->before : NULL;
}

void print_step(const struct resolver_run *r, const struct step *s, enum step_print how,
                const char *problem)
{
    bool undo = how == PRINT_UNDONE || how == PRINT_WOULD_UNDO;
    bool text =
        s->kind == STEP_FILE || s->kind == STEP_BLOCK || s->kind == STEP_TOP_BLOCK;
    const char *name = s->path;

    if (is_nothing(r, s, how))
        return;
    if (s->kind == STEP_COMMAND)
        name = undo || !s->after ? s->before : s->after;
    fprintf(r->out, "  %s%s%s: ", s->kind == STEP_COMMAND ? "" : r->machine.root,
            s->kind == STEP_COMMAND ? "run: " : "", name);
    if (how == PRINT_FAILED) {
        fprintf(r->out, "%s\n", problem);
        return;
    }
    const char *value = value_of(s, how);
    fprintf(r->out, "%s%s%s\n",
            step_is_skipped(&r->machine, s) ? "not done within another root"
                                            : words[s->kind][how],
            value ? " " : "", value ? value : "");
    if (how == PRINT_WOULD_DO && text)
        print_lines(r, s->after);
}
