/* resolver/beside.c - a file that is written beside its place */
#include "resolver/beside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
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

/* ---- extended attributes: access control lists, labels of SELinux, those of users ---- */

#define ACCESS_LIST "system.posix_acl_access"

/* Checksums of the bytes, which the kernel makes. */
static bool is_checksum(const char *name)
{
    return strcmp(name, "security.ima") == 0 || strcmp(name, "security.evm") == 0;
}

static bool has_value(int fd, const char *name, const char *value, size_t len)
{
    AUTO_FREE char *found = xmalloc(XATTR_SIZE_MAX);
    ssize_t n = fgetxattr(fd, name, found, XATTR_SIZE_MAX);

    return n >= 0 && (size_t)n == len && memcmp(found, value, len) == 0;
}

/* One that is gone by now was removed by another program, which the caller notices. */
static enum err copy_attribute(const char *from, int to, const char *name,
                               struct diag *why)
{
    AUTO_FREE char *value = xmalloc(XATTR_SIZE_MAX);
    ssize_t n = lgetxattr(from, name, value, XATTR_SIZE_MAX);

    if (n < 0 && errno == ENODATA)
        return OK;
    if (n >= 0 && (fsetxattr(to, name, value, (size_t)n, 0) == 0 ||
                   has_value(to, name, value, (size_t)n)))
        return OK;
    return diag_prefix(why, path_failed(from, why), "the attribute %s cannot be kept",
                       name);
}

static enum err copy_attributes(const char *from, int to, struct diag *why)
{
    AUTO_FREE char *names = xmalloc(XATTR_LIST_MAX);
    ssize_t len = llistxattr(from, names, XATTR_LIST_MAX);
    enum err e = OK;

    if (len < 0 && errno != ENOTSUP)
        return path_failed(from, why);
    (void)fremovexattr(to, ACCESS_LIST); /* a default of the folder */
    for (ssize_t i = 0; !e && i < len; i += (ssize_t)strlen(names + i) + 1)
        if (!is_checksum(names + i))
            e = copy_attribute(from, to, names + i, why);
    return e;
}

/* The mode last: until the access control list is there, only the owner may use the file. */
static enum err set_facts(const char *beside, int fd, const struct beside_facts *facts,
                          struct diag *why)
{
    bool same_owner = facts->uid == geteuid() && facts->gid == getegid();

    if (!same_owner && fchown(fd, facts->uid, facts->gid))
        return path_failed(beside, why);
    enum err e = facts->like ? copy_attributes(facts->like, fd, why) : OK;
    return e || fchmod(fd, facts->mode) == 0 ? e : path_failed(beside, why);
}

enum err beside_write(const char *beside, struct str text,
                      const struct beside_facts *facts, struct diag *why)
{
    unlink(beside);
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return path_failed(beside, why);
    enum err e = set_facts(beside, fd, facts, why);
    if (!e && !(file_write_all(fd, text) && fsync(fd) == 0))
        e = path_failed(beside, why);
    close(fd);
    if (e)
        unlink(beside);
    return e;
}
