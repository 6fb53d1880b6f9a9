/* resolver/step_block.c - steps that add lines to a file of others
 *
 * Others may write the file at any time, and obey no lock.  So it is read, the new text is
 * written beside it, and it is compared with what was read just before the new one takes its
 * place; then it is tried again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "resolver/beside.h"
#include "resolver/block.h"
#include "resolver/step_kind.h"

#define TRIES 20

static void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* What was read of a file, and which file it was. */
struct reading {
    char *text;
    size_t len;
    struct stat facts;
};

static void reading_finish(struct reading *r)
{
    free(r->text);
}

static struct str text_of(const struct reading *r)
{
    return (struct str){ r->text, r->len };
}

static enum err read_now(const char *path, struct reading *ret, struct diag *why)
{
    if (lstat(path, &ret->facts))
        return path_failed(path, why);
    if (!S_ISREG(ret->facts.st_mode))
        return diag_set(why, ERR_IN_USE,
                        "%s: is no regular file, and the program that made it a link or "
                        "another kind writes it",
                        path);
    return file_read_regular(path, STEP_TEXT_MAX, &ret->text, &ret->len, why);
}

static bool is_still(const char *path, const struct reading *r)
{
    AUTO(reading_finish) struct reading now = { 0 };

    return read_now(path, &now, NULL) == OK && now.facts.st_ino == r->facts.st_ino &&
           now.facts.st_mode == r->facts.st_mode && now.facts.st_uid == r->facts.st_uid &&
           now.facts.st_ctim.tv_sec == r->facts.st_ctim.tv_sec &&
           now.facts.st_ctim.tv_nsec == r->facts.st_ctim.tv_nsec &&
           str_eq(text_of(&now), text_of(r));
}

static enum err put_in_place(const char *beside, const char *path, struct diag *why)
{
    if (rename(beside, path) == 0)
        return path_sync_folder(path, why);
    if (errno == EBUSY)
        return diag_set(why, ERR_UNSUPPORTED,
                        "%s: is mounted by itself, as in a container, and cannot be "
                        "replaced",
                        path);
    return path_failed(path, why);
}

static enum err check_links(const char *path, const struct reading *r, struct diag *why)
{
    if (r->facts.st_nlink == 1)
        return OK;
    return diag_set(why, ERR_IN_USE,
                    "%s: has a second name (a hard link), which would keep the old text: "
                    "type: cp -p %s %s.new && mv %s.new %s",
                    path, path, path, path, path);
}

/* ERR_AGAIN: another program wrote it meanwhile. */
static enum err replace(const char *path, const struct reading *r, const char *text,
                        struct diag *why)
{
    const struct beside_facts facts = { r->facts.st_mode & 07777, r->facts.st_uid,
                                        r->facts.st_gid, path };
    AUTO_FREE char *beside = beside_path(path);
    enum err e = beside_write(beside, str_of(text), &facts, why);

    if (!e)
        e = is_still(path, r) ? put_in_place(beside, path, why) : ERR_AGAIN;
    if (e)
        unlink(beside);
    return e;
}

typedef enum err change_fn(struct str text, const struct step *s, char **ret,
                           struct diag *why);

static enum err change_once(const char *path, const struct step *s, change_fn *change,
                            struct diag *why)
{
    AUTO(closep) int lock = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    AUTO(reading_finish) struct reading r = { 0 };
    AUTO_FREE char *text = NULL;

    if (lock >= 0)
        (void)flock(lock, LOCK_EX | LOCK_NB); /* for editors that use it */
    enum err e = read_now(path, &r, why);
    if (!e && memchr(r.text, '\0', r.len))
        return diag_set(why, ERR_CONFIG, "%s: has a NUL byte, so it is no text", path);
    if (!e)
        e = change(text_of(&r), s, &text, why);
    if (e || str_eq(str_of(text), text_of(&r)))
        return e == ERR_CONFIG ? diag_prefix(why, e, "%s", path) : e;
    e = check_links(path, &r, why);
    return e ? e : replace(path, &r, text, why);
}

static enum err change_file(const char *path, const struct step *s, change_fn *change,
                            struct diag *why)
{
    enum err e = ERR_AGAIN;

    for (int i = 0; i < TRIES && e == ERR_AGAIN; i++)
        e = change_once(path, s, change, why);
    return e == ERR_AGAIN ? diag_set(why, ERR_IN_USE,
                                     "%s: another program writes it all the time: stop "
                                     "it, then run this again",
                                     path)
                          : e;
}

static enum err with_block(struct str text, const struct step *s, char **ret,
                           struct diag *why)
{
    return block_put(text, str_of(s->after),
                     s->kind == STEP_BLOCK ? BLOCK_AT_END : BLOCK_AT_TOP, ret, why);
}

static enum err without_block(struct str text, const struct step *s, char **ret,
                              struct diag *why)
{
    (void)s;
    return block_remove(text, ret, why);
}

static enum err block_prepare(const char *path, struct step *s, struct diag *why)
{
    AUTO(reading_finish) struct reading r = { 0 };
    struct str lines;
    enum err e = read_now(path, &r, why);
    (void)s;

    if (!e)
        e = check_links(path, &r, why);
    if (!e)
        e = block_find(text_of(&r), &lines, why);
    if (e == ERR_CONFIG)
        return diag_prefix(why, e, "%s", path);
    return e == ERR_NOT_FOUND && r.text ? OK : e;
}

static enum step_state block_look(const char *path, const struct step *s,
                                  struct diag *why)
{
    AUTO(reading_finish) struct reading r = { 0 };
    struct str lines = { 0 };
    enum err e = read_now(path, &r, why);

    if (!e)
        e = block_find(text_of(&r), &lines, why);
    if (e == ERR_NOT_FOUND)
        return STEP_BEFORE;
    if (!e && str_eq(lines, str_of(s->after)))
        return STEP_DONE;
    if (e == ERR_CONFIG)
        diag_prefix(why, e, "%s", path);
    else if (!e)
        diag_set(why, ERR_IN_USE,
                 "%s: the lines between the markers of kube-tunnel were changed, and are "
                 "left as they are: remove them and the markers, then run this again",
                 path);
    return STEP_CHANGED;
}

static enum err block_apply(const char *path, const struct step *s, struct diag *why)
{
    return change_file(path, s, with_block, why);
}

static enum err block_undo(const char *path, const struct step *s, struct diag *why)
{
    beside_remove(path);
    enum err e = change_file(path, s, without_block, why);
    return e == ERR_NOT_FOUND ? OK : e; /* its lines are gone with the file */
}

const struct step_ops block_ops = {
    .prepare = block_prepare,
    .look = block_look,
    .apply = block_apply,
    .undo = block_undo,
    .tidy = beside_remove,
};

const struct step_ops top_block_ops = {
    .prepare = block_prepare,
    .look = block_look,
    .apply = block_apply,
    .undo = block_undo,
    .tidy = beside_remove,
};
