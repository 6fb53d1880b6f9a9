/* resolver/plan.h - the steps of an installation, in the order in which they are done
 *
 * They are undone in the opposite order.  Private to resolver/.
 */
#pragma once

#include "base/texts.h"
#include "resolver/step.h"

struct plan {
    struct step *at;
    size_t count;
};

/* All texts are copied; NULL is allowed where struct step allows it. */
void plan_add(struct plan *p, enum step_kind kind, const char *path, const char *before,
              const char *after);
/* The folders on the way to `path`. */
void plan_add_folders(struct plan *p, const char *path);
/* The same, and what is there. */
void plan_add_file(struct plan *p, const char *path, const char *text);
void plan_add_link(struct plan *p, const char *path, const char *target);
/* The command is run when the steps behind it have been undone. */
void plan_add_afterwards(struct plan *p, const char *command);
void plan_finish(struct plan *p);

/* The same change, whatever was there before. */
bool step_is_same(const struct step *a, const struct step *b);
/* Are these the same steps in the same order? */
bool plan_is_same(const struct plan *a, const struct plan *b);
/* Sets `before` of each step to that of the same step in `from`. */
void plan_inherit(struct plan *p, const struct plan *from);
