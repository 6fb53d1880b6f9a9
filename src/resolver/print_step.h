/* resolver/print_step.h - a step in words; private to resolver/ */
#pragma once

#include "resolver/resolver.h"

enum step_print {
    PRINT_DONE,
    PRINT_UNDONE,
    PRINT_WOULD_DO,
    PRINT_WOULD_UNDO,
    PRINT_FAILED
};

/* A step that does nothing here prints nothing.  `problem`: of PRINT_FAILED. */
void print_step(const struct resolver_run *r, const struct step *s, enum step_print how,
                const char *problem);
/* "/etc/hosts", "run: systemctl ..."; owned by the caller. */
char *step_name(const struct step *s);
