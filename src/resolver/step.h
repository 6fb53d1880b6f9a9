/* resolver/step.h - one change of this machine, which can be undone
 *
 * A step knows what it leaves (`after`) and what was there before (`before`).  Whether it is
 * done is not remembered: step_look compares the machine with both.  So a step can be undone
 * after a crash at any moment, and one whose file another program has changed since is
 * recognised, and left alone.  The functions block: they are for commands at the terminal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Name in the journal, and what `path` and `after` are. */
/* clang-format off */
#define STEP_KINDS(X) \
    X(FOLDER,     "folder")     /* a folder, mode 0755; `before`: "" if it was there */ \
    X(FILE,       "file")       /* a file of ours, mode 0644, with the text `after` */ \
    X(LINK,       "link")       /* a symbolic link to `after` */ \
    X(BLOCK,      "block")      /* lines at the end of a file of others (block.h) */ \
    X(TOP_BLOCK,  "top-block")  /* the same, at its beginning */ \
    X(CAPABILITY, "capability") /* security.capability of a program, in hexadecimal */ \
    X(KERNEL,     "kernel")     /* a value below /proc/sys */ \
    X(COMMAND,    "command")    /* run `after`; undone by `before`, if `path` exists */
/* clang-format on */

enum step_kind {
#define X(NAME, text) STEP_##NAME,
    STEP_KINDS(X)
#undef X
        STEP_KIND_COUNT
};

struct step {
    enum step_kind kind;
    char *path;   /* absolute, within machine->root; a command: NULL: undo it always */
    char *before; /* NULL: nothing was there; a command: NULL: nothing undoes it */
    char *after;  /* a command: NULL: it is only run to undo the steps behind it */
};

/* The machine whose resolver is changed. */
struct machine {
    const char *root; /* the folder that stands for /, "" for / itself */
};

enum step_state {
    STEP_BEFORE,  /* not done, or undone */
    STEP_DONE,    /* as the step leaves it */
    STEP_CHANGED, /* neither: another program has changed it */
    STEP_UNKNOWN, /* of commands */
};

const char *step_kind_name(enum step_kind kind);
/* STEP_KIND_COUNT: there is no such kind. */
enum step_kind step_kind_find(const char *name);
/* The path on this machine, owned by the caller. */
char *machine_path(const struct machine *m, const char *path);
/* Commands and values of the running kernel have no meaning within another root. */
bool step_is_skipped(const struct machine *m, const struct step *s);

/* Sets `before` of a step that is new in the plan, where it is not always the same.
 * ERR_IN_USE: something is there that kube-tunnel did not make. */
MUST_CHECK enum err step_prepare(const struct machine *m, struct step *s,
                                 struct diag *why);
/* *why: what is there instead, when it is STEP_CHANGED. */
enum step_state step_look(const struct machine *m, const struct step *s,
                          struct diag *why);
/* May this process do it and undo it? */
bool step_is_permitted(const struct machine *m, const struct step *s);
/* Nothing to do is OK.  ERR_IN_USE: STEP_CHANGED. */
MUST_CHECK enum err step_apply(const struct machine *m, const struct step *s,
                               struct diag *why);
MUST_CHECK enum err step_undo(const struct machine *m, const struct step *s,
                              struct diag *why);

/* Removes what a crash in the middle of the step has left beside its file. */
void step_tidy(const struct machine *m, const struct step *s);

/* Frees what it owns. */
void step_finish(struct step *s);
