/* resolver/step_files.c - steps that make a folder, a file or a link of ours
 *
 * A file is written beside its place under a name that is always the same, made permanent
 * (fsync) and then linked to its place, which fails if something is there meanwhile.  What a
 * crash leaves beside it is removed by the next apply or undo.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/file_write.h"
#include "base/own.h"
#include "resolver/beside.h"
#include "resolver/step_kind.h"

static enum step_state is_changed(const char *path, struct diag *why)
{
    diag_set(
        why, ERR_IN_USE,
        "%s: is not as kube-tunnel wrote it, and is left as it is: move it away, then "
        "run this again",
        path);
    return STEP_CHANGED;
}

/* ---- folders ---- */

static enum err folder_prepare(const char *path, struct step *s, struct diag *why)
{
    struct stat facts;

    if (lstat(path, &facts))
        return errno == ENOENT ? OK : path_failed(path, why);
    s->before = xstrdup("");
    return OK;
}

static enum step_state folder_look(const char *path, const struct step *s,
                                   struct diag *why)
{
    struct stat facts;
    (void)s;

    if (lstat(path, &facts))
        return STEP_BEFORE;
    /* A link to a folder is one, too, if it was there before. */
    if (S_ISDIR(facts.st_mode) ||
        (s->before && stat(path, &facts) == 0 && S_ISDIR(facts.st_mode)))
        return STEP_DONE;
    return is_changed(path, why);
}

static enum err folder_apply(const char *path, const struct step *s, struct diag *why)
{
    (void)s;
    if (mkdir(path, 0755) || chmod(path, 0755))
        return path_failed(path, why);
    return path_sync_folder(path, why);
}

/* One that was there before, or has other files by now, stays. */
static enum err folder_undo(const char *path, const struct step *s, struct diag *why)
{
    if (s->before)
        return OK;
    if (rmdir(path))
        return errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST
                   ? OK
                   : path_failed(path, why);
    return path_sync_folder(path, why);
}

const struct step_ops folder_ops = {
    .prepare = folder_prepare,
    .look = folder_look,
    .apply = folder_apply,
    .undo = folder_undo,
};

/* ---- files ---- */

static enum step_state file_look(const char *path, const struct step *s, struct diag *why)
{
    AUTO_FREE char *text = NULL;
    struct stat facts;
    size_t len;

    if (lstat(path, &facts))
        return STEP_BEFORE;
    if (S_ISREG(facts.st_mode) &&
        file_read_regular(path, STEP_TEXT_MAX, &text, &len, NULL) == OK &&
        str_eq((struct str){ text, len }, str_of(s->after)))
        return STEP_DONE;
    return is_changed(path, why);
}

static enum err file_apply(const char *path, const struct step *s, struct diag *why)
{
    const struct beside_facts facts = { .mode = 0644,
                                        .uid = geteuid(),
                                        .gid = getegid() };
    AUTO_FREE char *beside = beside_path(path);
    enum err e = beside_write(beside, str_of(s->after), &facts, why);

    if (!e && link(beside, path))
        e = path_failed(path, why);
    unlink(beside);
    return e ? e : path_sync_folder(path, why);
}

static enum err file_undo(const char *path, const struct step *s, struct diag *why)
{
    (void)s;
    beside_remove(path);
    if (unlink(path) == 0)
        return path_sync_folder(path, why);
    return errno == ENOENT || errno == ENOTDIR ? OK : path_failed(path, why);
}

const struct step_ops file_ops = {
    .look = file_look,
    .apply = file_apply,
    .undo = file_undo,
    .tidy = beside_remove,
};

/* ---- links ---- */

static enum step_state link_look(const char *path, const struct step *s, struct diag *why)
{
    char target[4096];
    ssize_t n = readlink(path, target, sizeof(target));

    if (n < 0 && (errno == ENOENT || errno == ENOTDIR))
        return STEP_BEFORE;
    if (n >= 0 && str_eq((struct str){ target, (size_t)n }, str_of(s->after)))
        return STEP_DONE;
    return is_changed(path, why);
}

static enum err link_apply(const char *path, const struct step *s, struct diag *why)
{
    return symlink(s->after, path) ? path_failed(path, why) : path_sync_folder(path, why);
}

static enum err link_undo(const char *path, const struct step *s, struct diag *why)
{
    (void)s;
    return unlink(path) && errno != ENOENT && errno != ENOTDIR ? path_failed(path, why)
                                                               : OK;
}

const struct step_ops link_ops = {
    .look = link_look,
    .apply = link_apply,
    .undo = link_undo,
};
