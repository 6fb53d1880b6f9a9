/* base/file_write.c - write a small file as a whole */
#include "base/file_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"

static enum err write_failed(const char *path, struct diag *why)
{
    bool denied = errno == EACCES || errno == EPERM || errno == EROFS;

    return diag_set(why, denied ? ERR_ACCESS : ERR_IO, "%s: %s", path, strerror(errno));
}

bool file_write_all(int fd, struct str text)
{
    while (text.len) {
        ssize_t n = write(fd, text.at, text.len);
        if (n < 0 && errno != EINTR)
            return false;
        text = str_skip(text, n > 0 ? (size_t)n : 0);
    }
    return true;
}

enum err file_replace(const char *path, struct str text, mode_t mode, struct diag *why)
{
    AUTO_FREE char *beside = xasprintf("%s.XXXXXX", path);
    int fd = mkostemp(beside, O_CLOEXEC);

    if (fd < 0)
        return write_failed(beside, why);
    bool written = fchmod(fd, mode) == 0 && file_write_all(fd, text) && fsync(fd) == 0;
    enum err e = OK;
    if (!written || rename(beside, path))
        e = write_failed(path, why);
    if (e)
        unlink(beside);
    close(fd);
    return e;
}
