/* resolver/steps.c - the table of kinds of steps, and what they share */
#include "resolver/step.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "resolver/step_kind.h"

static const struct step_ops *const all_ops[] = {
    [STEP_FOLDER] = &folder_ops,       [STEP_FILE] = &file_ops,
    [STEP_LINK] = &link_ops,           [STEP_BLOCK] = &block_ops,
    [STEP_TOP_BLOCK] = &top_block_ops, [STEP_CAPABILITY] = &capability_ops,
    [STEP_KERNEL] = &kernel_ops,       [STEP_COMMAND] = &command_ops,
};

static const char *const names[] = {
#define X(NAME, text) [STEP_##NAME] = text,
    STEP_KINDS(X)
#undef X
};

const char *step_kind_name(enum step_kind kind)
{
    return names[kind];
}

enum step_kind step_kind_find(const char *name)
{
    enum step_kind kind = 0;

    while (kind < STEP_KIND_COUNT && strcmp(names[kind], name) != 0)
        kind++;
    return kind;
}

char *machine_path(const struct machine *m, const char *path)
{
    return xasprintf("%s%s", m->root, path);
}

bool step_is_skipped(const struct machine *m, const struct step *s)
{
    return m->root[0] && all_ops[s->kind]->live;
}

static char *path_of(const struct machine *m, const struct step *s)
{
    return s->path ? machine_path(m, s->path) : NULL;
}

enum err step_prepare(const struct machine *m, struct step *s, struct diag *why)
{
    const struct step_ops *ops = all_ops[s->kind];
    AUTO_FREE char *path = path_of(m, s);

    if (step_is_skipped(m, s))
        return OK;
    if (ops->prepare)
        return ops->prepare(path, s, why);
    /* A file that is there already and has the same content may belong to another program, and
     * uninstall must not remove it. */
    enum step_state state = ops->look(path, s, why);
    if (state == STEP_DONE)
        return diag_set(why, ERR_IN_USE, "%s: exists already, and is in no journal",
                        path);
    return state == STEP_CHANGED ? ERR_IN_USE : OK;
}

enum step_state step_look(const struct machine *m, const struct step *s, struct diag *why)
{
    AUTO_FREE char *path = path_of(m, s);

    return step_is_skipped(m, s) ? STEP_UNKNOWN : all_ops[s->kind]->look(path, s, why);
}

/* The deepest folder on the way to `path` that exists. */
static bool folder_is_writable(char *path)
{
    char *slash;

    while ((slash = strrchr(path, '/'))) {
        *slash = '\0';
        const char *folder = path[0] ? path : "/";
        if (access(folder, F_OK) == 0)
            return access(folder, W_OK | X_OK) == 0;
    }
    return false;
}

bool step_is_permitted(const struct machine *m, const struct step *s)
{
    AUTO_FREE char *path = path_of(m, s);

    if (step_is_skipped(m, s))
        return true;
    if (all_ops[s->kind]->live)
        return geteuid() == 0;
    return folder_is_writable(path);
}

enum err step_apply(const struct machine *m, const struct step *s, struct diag *why)
{
    AUTO_FREE char *path = path_of(m, s);
    enum step_state state = step_look(m, s, why);

    if (step_is_skipped(m, s) || state == STEP_DONE)
        return OK;
    return state == STEP_CHANGED ? ERR_IN_USE : all_ops[s->kind]->apply(path, s, why);
}

enum err step_undo(const struct machine *m, const struct step *s, struct diag *why)
{
    AUTO_FREE char *path = path_of(m, s);

    if (step_is_skipped(m, s))
        return OK;
    return step_look(m, s, why) == STEP_CHANGED ? ERR_IN_USE
                                                : all_ops[s->kind]->undo(path, s, why);
}

void step_tidy(const struct machine *m, const struct step *s)
{
    AUTO_FREE char *path = path_of(m, s);

    if (!step_is_skipped(m, s) && all_ops[s->kind]->tidy)
        all_ops[s->kind]->tidy(path);
}

void step_finish(struct step *s)
{
    free(s->path);
    free(s->before);
    free(s->after);
    *s = (struct step){ 0 };
}

enum err path_failed(const char *path, struct diag *why)
{
    enum err e = errno == ENOENT || errno == ENOTDIR                   ? ERR_NOT_FOUND
                 : errno == EACCES || errno == EPERM || errno == EROFS ? ERR_ACCESS
                                                                       : ERR_IO;
    return diag_set(why, e, "%s: %s", path, strerror(errno));
}

enum err path_sync_folder(const char *path, struct diag *why)
{
    AUTO_FREE char *folder = xstrdup(path);

    *strrchr(folder, '/') = '\0';
    int fd = open(folder[0] ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd)) {
        enum err e = path_failed(folder, why);
        if (fd >= 0)
            close(fd);
        return e;
    }
    close(fd);
    return OK;
}
