/* base/file.c - read a small file as a whole */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"

static void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static enum err failed(const char *path, int number, struct diag *why)
{
    enum err e = ERR_IO;

    if (number == ENOENT || number == ENOTDIR)
        e = ERR_NOT_FOUND;
    else if (number == EACCES || number == EPERM)
        e = ERR_ACCESS;
    else if (number == EMFILE || number == ENFILE)
        e = ERR_NO_FILES;
    return diag_set(why, e, "%s: %s", path, strerror(number));
}

/* Standard input may have been set not to block by another process that has it, too. */
static void wait_for_bytes(int fd)
{
    struct pollfd wanted = { .fd = fd, .events = POLLIN };
    poll(&wanted, 1, -1);
}

static enum err read_all(int fd, const char *path, size_t max, char **ret_text,
                         size_t *ret_len, struct diag *why)
{
    size_t room = 4096, len = 0;
    ssize_t n;

    AUTO_FREE char *text = xmalloc(room);
    while ((n = read(fd, text + len, room - len - 1)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            wait_for_bytes(fd);
            continue;
        }
        if (n < 0)
            return failed(path, errno, why);
        len += (size_t)n;
        if (len > max)
            return diag_set(why, ERR_LIMIT, "%s: longer than %zu bytes", path, max);
        if (room - len < 2)
            text = xrealloc(text, room *= 2);
    }
    text[len] = '\0';
    *ret_len = len;
    *ret_text = TAKE(text);
    return OK;
}

enum err file_read(const char *path, size_t max, char **ret_text, size_t *ret_len,
                   struct diag *why)
{
    AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return failed(path, errno, why);
    return read_all(fd, path, max, ret_text, ret_len, why);
}

enum err file_read_input(size_t max, char **ret_text, size_t *ret_len, struct diag *why)
{
    return read_all(STDIN_FILENO, FILE_INPUT, max, ret_text, ret_len, why);
}

enum err file_read_regular(const char *path, size_t max, char **ret_text, size_t *ret_len,
                           struct diag *why)
{
    AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat facts;

    if (fd < 0 || fstat(fd, &facts))
        return failed(path, errno, why);
    if (!S_ISREG(facts.st_mode))
        return diag_set(why, ERR_CONFIG, "%s: not a regular file", path);
    return read_all(fd, path, max, ret_text, ret_len, why);
}

/* A read lease is granted only while no process has the file open for writing.  One that
 * opens it meanwhile waits until the lease is returned, and the kernel sends a signal, which
 * SIGURG makes one that is ignored. */
bool file_is_being_written(const char *path)
{
    AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || fcntl(fd, F_SETSIG, SIGURG))
        return false;
    if (!fcntl(fd, F_SETLEASE, F_RDLCK)) {
        fcntl(fd, F_SETLEASE, F_UNLCK);
        return false;
    }
    return errno == EAGAIN;
}

char *file_beside(const char *from, const char *path)
{
    const char *slash = strrchr(from, '/');

    if (path[0] == '/' || !slash)
        return xstrdup(path);
    return xasprintf("%.*s/%s", (int)(slash - from), from, path);
}
