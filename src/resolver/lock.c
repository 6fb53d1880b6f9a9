/* resolver/lock.c - one `kube-tunnel dns` at a time changes the machine */
#include "resolver/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "resolver/step_kind.h"

#define PAUSE_MS 20

static enum err is_unsafe(const char *path, struct diag *why)
{
    return diag_set(
        why, ERR_CONFIG,
        "%s: other users may change it, so it is not used as the lock: see what "
        "is in it, and delete it",
        path);
}

/* What may be opened by this user only, and cannot be a link to a file of others. */
static enum err check_private(const char *path, int fd, mode_t kind, struct diag *why)
{
    struct stat facts;

    if (fstat(fd, &facts))
        return path_failed(path, why);
    if ((facts.st_mode & S_IFMT) != kind || facts.st_mode & 077 ||
        facts.st_uid != geteuid())
        return is_unsafe(path, why);
    return OK;
}

/* ERR_AGAIN: the process that held the lock is removing the folder. */
static enum err open_failed(const char *path, struct diag *why)
{
    return errno == ENOENT                      ? ERR_AGAIN
           : errno == ELOOP || errno == ENOTDIR ? is_unsafe(path, why)
                                                : path_failed(path, why);
}

static enum err open_in(int folder, const struct lock *l, int *ret, struct diag *why)
{
    int fd = openat(folder, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return open_failed(l->path, why);
    enum err e = check_private(l->path, fd, S_IFREG, why);
    if (e)
        close(fd);
    else
        *ret = fd;
    return e;
}

static enum err open_file(const struct lock *l, int *ret, struct diag *why)
{
    if (mkdir(l->folder, 0700) && errno != EEXIST)
        return path_failed(l->folder, why);
    int folder = open(l->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return open_failed(l->folder, why);
    enum err e = check_private(l->folder, folder, S_IFDIR, why);
    if (!e)
        e = open_in(folder, l, ret, why);
    close(folder);
    return e;
}

/* No: the process that held it has removed it, and others use a new one. */
static bool is_in_place(const struct lock *l)
{
    struct stat ours, there;

    return fstat(l->fd, &ours) == 0 && lstat(l->path, &there) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* 0: it is not known. */
static pid_t find_holder(const struct lock *l)
{
    struct flock other = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    return fcntl(l->fd, F_GETLK, &other) == 0 && other.l_type != F_UNLCK ? other.l_pid
                                                                         : 0;
}

/* Any other error has nothing to do with another process: it is not waited for. */
static enum err lock_failed(const struct lock *l, pid_t *ret_holder, struct diag *why)
{
    if (errno != EAGAIN && errno != EACCES)
        return path_failed(l->path, why);
    *ret_holder = find_holder(l);
    return ERR_AGAIN;
}

/* ERR_AGAIN: another process has it; *ret_holder is its id, 0 if it is not known. */
static enum err try_once(struct lock *l, pid_t *ret_holder, struct diag *why)
{
    struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    enum err e = open_file(l, &l->fd, why);

    *ret_holder = 0;
    if (e)
        return e;
    if (fcntl(l->fd, F_SETLK, &range))
        e = lock_failed(l, ret_holder, why);
    else if (is_in_place(l))
        return OK;
    else
        e = ERR_AGAIN;
    close(l->fd);
    return e;
}

static enum err is_held(const struct lock *l, pid_t holder, struct diag *why)
{
    if (holder <= 0)
        return diag_set(why, ERR_IN_USE,
                        "another \"kube-tunnel dns\" is running (%s): wait for its end, "
                        "then run this again",
                        l->path);
    return diag_set(
        why, ERR_IN_USE,
        "another \"kube-tunnel dns\" is running, process %d: wait for its end "
        "(or type: sudo kill %d), then run this again",
        (int)holder, (int)holder);
}

static void wait_a_little(void)
{
    const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };

    nanosleep(&pause, NULL);
}

enum err lock_take(const struct machine *m, int wait_ms, struct lock *ret,
                   struct diag *why)
{
    struct lock l = { machine_path(m, LOCK_FOLDER), machine_path(m, LOCK_FOLDER "/lock"),
                      -1 };
    pid_t holder = 0;
    enum err e = try_once(&l, &holder, why);

    for (int waited = 0; e == ERR_AGAIN && waited < wait_ms; waited += PAUSE_MS) {
        wait_a_little();
        e = try_once(&l, &holder, why);
    }
    if (e == ERR_AGAIN)
        e = is_held(&l, holder, why);
    if (e) {
        free(l.folder);
        free(l.path);
        return e;
    }
    *ret = l;
    return OK;
}

/* While it is held: a process that gets the lock of a removed file sees that (is_in_place). */
void lock_release(struct lock *l)
{
    if (!l->path)
        return;
    unlink(l->path);
    rmdir(l->folder);
    close(l->fd);
    free(l->folder);
    free(l->path);
    *l = (struct lock){ 0 };
}
