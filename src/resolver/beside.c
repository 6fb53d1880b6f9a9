/* resolver/beside.c - a file that is written beside its place */
#include "resolver/beside.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_write.h"
#include "base/own.h"
#include "resolver/step_kind.h"

char *beside_path(const char *path)
{
    const char *slash = strrchr(path, '/');

    return xasprintf("%.*s.%s.kube-tunnel", (int)(slash + 1 - path), path, slash + 1);
}

void beside_remove(const char *path)
{
    AUTO_FREE char *beside = beside_path(path);

    unlink(beside);
}

enum err beside_write(const char *beside, struct str text,
                      const struct beside_facts *facts, struct diag *why)
{
    unlink(beside);
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return path_failed(beside, why);
    bool same_owner = facts->uid == geteuid() && facts->gid == getegid();
    bool written = (same_owner || fchown(fd, facts->uid, facts->gid) == 0) &&
                   fchmod(fd, facts->mode) == 0 && file_write_all(fd, text) &&
                   fsync(fd) == 0;
    enum err e = written ? OK : path_failed(beside, why);
    close(fd);
    if (e)
        unlink(beside);
    return e;
}
