/* addresses/state_file.c - the state file: a table on disk */
#include "addresses/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addresses/state_text.h"
#include "base/file_write.h"
#include "base/own.h"

#define FILE_MAX ((size_t)16 << 20) /* KEPT_MAX keys of KEY_TEXT_MAX bytes, all escaped */

static void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static const char *folder_variable(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] == '/' ? value : NULL;
}

char *state_file_path(const char *name)
{
    const char *base = folder_variable("XDG_STATE_HOME");
    const char *home = folder_variable("HOME");

    if (base)
        return xasprintf("%s/kube-tunnel/%s.addresses", base, name);
    return home ? xasprintf("%s/.local/state/kube-tunnel/%s.addresses", home, name)
                : NULL;
}

static enum err read_failed(const char *path, struct diag *why)
{
    enum err e = errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND
                 : errno == EACCES || errno == ELOOP ? ERR_ACCESS
                                                     : ERR_IO;
    return diag_set(why, e, "%s: %s", path, strerror(errno));
}

static enum err check_private(const char *path, const struct stat *facts,
                              struct diag *why)
{
    if (!S_ISREG(facts->st_mode))
        return diag_set(why, ERR_ACCESS, "%s: not a regular file", path);
    if (facts->st_uid != geteuid())
        return diag_set(why, ERR_ACCESS, "%s: it belongs to user %u, and this is user %u",
                        path, facts->st_uid, geteuid());
    if (facts->st_mode & (S_IWGRP | S_IWOTH))
        return diag_set(why, ERR_ACCESS,
                        "%s: other users may write it (rm it, or chmod 600)", path);
    if ((size_t)facts->st_size > FILE_MAX)
        return diag_set(why, ERR_LIMIT, "%s: it is larger than 16 MiB", path);
    return OK;
}

static enum err read_all(int fd, const char *path, size_t size, char **ret,
                         size_t *ret_len, struct diag *why)
{
    AUTO_FREE char *text = xmalloc(size + 1);
    size_t len = 0;
    ssize_t n = 1;

    while (n && len < size) {
        n = read(fd, text + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return read_failed(path, why);
        len += (size_t)n;
    }
    *ret = TAKE(text);
    *ret_len = len;
    return OK;
}

enum err state_file_read(const char *path, struct address_table *t, struct diag *why)
{
    AUTO(closep)
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    AUTO_FREE char *text = NULL;
    struct stat facts;
    size_t len = 0;

    if (fd < 0 || fstat(fd, &facts))
        return read_failed(path, why);
    enum err e = check_private(path, &facts, why);
    if (!e)
        e = read_all(fd, path, (size_t)facts.st_size, &text, &len, why);
    if (e)
        return e;
    e = state_text_read((struct str){ text, len }, t, why);
    return e ? diag_prefix(why, e, "%s", path) : OK;
}

/* With its parents, of mode 0700, as the XDG specification has it. */
static void make_folder_of(const char *path)
{
    AUTO_FREE char *folder = xstrdup(path);

    for (char *at = folder + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        mkdir(folder, 0700);
        *at = '/';
    }
}

enum err state_file_write(const char *path, const struct address_table *t,
                          struct diag *why)
{
    AUTO_FREE char *text = state_text_write(t);

    make_folder_of(path);
    return file_replace(path, str_of(text), 0600, why);
}
