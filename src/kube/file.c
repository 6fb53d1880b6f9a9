/* kube/file.c - small files, whole */
#include "kube/file.h"

#include <errno.h>
#include <fcntl.h>
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

enum err file_read(const char *path, size_t max, char **ret_text, size_t *ret_len,
                   struct diag *why)
{
    AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t room = 4096, len = 0;
    ssize_t n;

    if (fd < 0)
        return failed(path, errno, why);
    AUTO_FREE char *text = xmalloc(room);
    while ((n = read(fd, text + len, room - len - 1)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
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

char *file_beside(const char *from, const char *path)
{
    const char *slash = strrchr(from, '/');

    if (path[0] == '/' || !slash)
        return xstrdup(path);
    return xasprintf("%.*s/%s", (int)(slash - from), from, path);
}
