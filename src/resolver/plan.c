/* resolver/plan.c - the steps of an installation */
#include "resolver/plan.h"

#include "base/own.h"

void plan_add(struct plan *p, enum step_kind kind, const char *path, const char *before,
              const char *after)
{
    p->at = xrealloc(p->at, (p->count + 1) * sizeof(*p->at));
    p->at[p->count++] = (struct step){ kind, xstrdup_or_null(path),
                                       xstrdup_or_null(before), xstrdup_or_null(after) };
}

static bool plan_has_folder(const struct plan *p, const char *path)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->at[i].kind == STEP_FOLDER && strcmp(p->at[i].path, path) == 0)
            return true;
    return false;
}

void plan_add_folders(struct plan *p, const char *path)
{
    AUTO_FREE char *folder = xstrdup(path);
    char *slash = folder;

    while ((slash = strchr(slash + 1, '/'))) {
        *slash = '\0';
        if (!plan_has_folder(p, folder))
            plan_add(p, STEP_FOLDER, folder, NULL, "");
        *slash = '/';
    }
}

void plan_add_file(struct plan *p, const char *path, const char *text)
{
    plan_add_folders(p, path);
    plan_add(p, STEP_FILE, path, NULL, text);
}

void plan_add_link(struct plan *p, const char *path, const char *target)
{
    plan_add_folders(p, path);
    plan_add(p, STEP_LINK, path, NULL, target);
}

void plan_add_afterwards(struct plan *p, const char *command)
{
    plan_add(p, STEP_COMMAND, NULL, command, NULL);
}

void plan_finish(struct plan *p)
{
    for (size_t i = 0; i < p->count; i++)
        step_finish(&p->at[i]);
    free(p->at);
    *p = (struct plan){ 0 };
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : !a && !b;
}

bool step_is_same(const struct step *a, const struct step *b)
{
    return a->kind == b->kind && is_same_text(a->path, b->path) &&
           is_same_text(a->after, b->after) &&
           (a->kind != STEP_COMMAND || is_same_text(a->before, b->before));
}

bool plan_is_same(const struct plan *a, const struct plan *b)
{
    bool same = a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++)
        same = step_is_same(&a->at[i], &b->at[i]);
    return same;
}

void plan_inherit(struct plan *p, const struct plan *from)
{
    for (size_t i = 0; i < p->count; i++)
        for (size_t j = 0; j < from->count; j++)
            if (p->at[i].kind != STEP_COMMAND && step_is_same(&p->at[i], &from->at[j])) {
                free(p->at[i].before);
                p->at[i].before = xstrdup_or_null(from->at[j].before);
            }
}
