#include "kube/kubeconfig_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/file.h"
#include "base/file_write.h"
#include "kube/kubeconfig.h"

static enum err io_error(const char *path, struct diag *why)
{
    enum err e =
        errno == EACCES || errno == EROFS || errno == EPERM ? ERR_ACCESS : ERR_IO;
    return diag_set(why, e, "%s: %s", path, strerror(errno));
}

/* ---- the lock ---- */

static enum err take_lock(const char *lock, struct diag *why)
{
    int fd = open(lock, O_CREAT | O_EXCL | O_CLOEXEC | O_WRONLY, 0);

    if (fd < 0 && errno == EEXIST)
        return diag_set(why, ERR_IN_USE, "%s: another program is writing the kubeconfig",
                        lock);
    if (fd < 0)
        return io_error(lock, why);
    close(fd);
    return OK;
}

/* ---- the text ---- */

static enum err edit_text(const char *path, const char *user,
                          const struct yaml_edit *edits, size_t count, char **ret,
                          struct diag *why)
{
    const struct yaml_step steps[] = {
        { "users", user },
        { "user", NULL },
        { "auth-provider", NULL },
        { "config", NULL },
    };
    AUTO_FREE char *text = NULL;
    size_t len;

    enum err e = file_read_regular(path, KUBECONFIG_MAX, &text, &len, why);
    if (e)
        return e;
    e = yaml_edit((struct str){ text, len }, steps, ARRAY_LEN(steps), edits, count, ret,
                  why);
    return e ? diag_prefix(why, e, "%s: user \"%s\"", path, user) : OK;
}

/* What is written has to mean what was meant. */
static enum err check_text(const char *path, const char *user,
                           const struct yaml_edit *edits, size_t count, const char *text,
                           struct diag *why)
{
    AUTO(kubeconfig_destroyp) struct kubeconfig *kc = NULL;
    enum err e = kubeconfig_parse(str_of(text), path, &kc, why);
    const struct kc_user *u = e ? NULL : kubeconfig_user(kc, user);
    bool good = u && u->auth_provider;

    for (size_t i = 0; good && i < count; i++) {
        const char *value = kc_pair(&u->auth_provider->config, edits[i].key);
        good = value && strcmp(value, edits[i].value) == 0;
    }
    return e      ? e
           : good ? OK
                  : diag_set(why, ERR_CONFIG, "%s: it cannot be changed", path);
}

/* ---- the file ---- */

/* A copy of another user's file would be ours: only root may give it back.  What a group may
 * do is not for our own, where the file cannot be given to the first. */
static bool take_over_owner(int fd, const struct stat *like)
{
    mode_t mode = like->st_mode & 07777;
    struct stat own;

    if (fstat(fd, &own) ||
        (own.st_uid != like->st_uid && fchown(fd, like->st_uid, (gid_t)-1)))
        return false;
    if (own.st_gid != like->st_gid && fchown(fd, (uid_t)-1, like->st_gid))
        mode &= ~(mode_t)S_IRWXG;
    return fchmod(fd, mode) == 0;
}

/* A file that is a mount point of its own, as in many containers, cannot be replaced. */
static enum err overwrite_file(const char *path, const char *text, struct diag *why)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return io_error(path, why);
    bool written = file_write_all(fd, str_of(text)) &&
                   ftruncate(fd, (off_t)strlen(text)) == 0 && fsync(fd) == 0;
    enum err e = written ? OK : io_error(path, why);
    close(fd);
    return e;
}

static enum err replace_file(const char *path, const char *text, struct diag *why)
{
    AUTO_FREE char *beside = xasprintf("%s.XXXXXX", path);
    struct stat like;

    if (stat(path, &like))
        return io_error(path, why);
    int fd = mkostemp(beside, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return io_error(beside, why);
    bool written =
        file_write_all(fd, str_of(text)) && take_over_owner(fd, &like) && fsync(fd) == 0;
    enum err e = written ? OK : io_error(beside, why);
    close(fd);
    bool renamed = !e && rename(beside, path) == 0;
    if (!e && !renamed)
        e = errno == EBUSY ? overwrite_file(path, text, why) : io_error(path, why);
    if (!renamed)
        unlink(beside);
    return e;
}

static enum err write_locked(const char *path, const char *user,
                             const struct yaml_edit *edits, size_t count,
                             struct diag *why)
{
    AUTO_FREE char *real = realpath(path, NULL);
    AUTO_FREE char *text = NULL;

    if (!real)
        return io_error(path, why);
    enum err e = edit_text(real, user, edits, count, &text, why);
    if (!e)
        e = check_text(real, user, edits, count, text, why);
    if (!e)
        e = replace_file(real, text, why);
    if (text)
        explicit_bzero(text, strlen(text));
    return e;
}

enum err kubeconfig_write_provider(const char *path, const char *user,
                                   const struct yaml_edit *edits, size_t count,
                                   struct diag *why)
{
    AUTO_FREE char *lock = xasprintf("%s.lock", path);
    enum err e = take_lock(lock, why);

    if (e)
        return e;
    e = write_locked(path, user, edits, count, why);
    unlink(lock);
    return e;
}
