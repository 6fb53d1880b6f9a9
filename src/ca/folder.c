/* ca/folder.c - the local authorities of this user, as files */
#include "ca/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file_write.h"
#include "base/own.h"
#include "ca/authority.h"

#define FILE_MAX (64 * 1024)
#define DAY_SECONDS 86400LL
#define LOCK_STEP_US 10000
#define LOCK_STEPS 200 /* two seconds; making an authority takes some milliseconds */
#define KEY_SUFFIX ".pem"
#define CERTIFICATE_SUFFIX ".crt"

static void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static const char *set_variable(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] == '/' ? value : NULL;
}

char *ca_folder_path(void)
{
    const char *base = set_variable("XDG_DATA_HOME");
    const char *home = set_variable("HOME");

    if (base)
        return xasprintf("%s/kube-tunnel/ca", base);
    return home ? xasprintf("%s/.local/share/kube-tunnel/ca", home) : NULL;
}

static char *key_path(const char *folder, const char *domain)
{
    return xasprintf("%s/%s" KEY_SUFFIX, folder, domain);
}

char *ca_folder_certificate(const char *folder, const char *domain)
{
    return xasprintf("%s/%s" CERTIFICATE_SUFFIX, folder, domain);
}

/* ---- checks ---- */

static enum err folder_failed(const char *path, struct diag *why)
{
    enum err e = errno == ENOENT || errno == ENOTDIR                   ? ERR_NOT_FOUND
                 : errno == EACCES || errno == EPERM || errno == EROFS ? ERR_ACCESS
                 : errno == EMFILE || errno == ENFILE                  ? ERR_NO_FILES
                                                                       : ERR_IO;
    return diag_set(why, e, "%s: %s", path, strerror(errno));
}

/* `shared` are the bits of a mode that let others in; `mode` is the one to set. */
static enum err check_private(const char *path, const struct stat *facts, mode_t shared,
                              const char *mode, struct diag *why)
{
    unsigned bits = facts->st_mode & 07777;

    if (facts->st_uid != geteuid())
        return diag_set(why, ERR_ACCESS,
                        "%s: it belongs to user %u, and this process is user %u: the "
                        "local CA is not used",
                        path, facts->st_uid, geteuid());
    if (!(bits & shared))
        return OK;
    return diag_set(why, ERR_ACCESS,
                    "%s: its mode %04o lets other users in: the local CA is not used. If "
                    "they had no access: chmod %s; else: kube-tunnel ca remove",
                    path, bits, mode);
}

static enum err open_folder(const char *folder, int *ret_fd, struct diag *why)
{
    AUTO(closep) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat facts;

    if (fd < 0 || fstat(fd, &facts))
        return folder_failed(folder, why);
    enum err e = check_private(folder, &facts, S_IWGRP | S_IWOTH, "700", why);
    if (e)
        return e;
    *ret_fd = fd;
    fd = -1;
    return OK;
}

static enum err read_text(int fd, const char *path, char **ret, struct diag *why)
{
    AUTO_FREE char *text = xcalloc(1, FILE_MAX + 1);
    size_t len = 0;
    ssize_t n = 1;

    while (n && len < FILE_MAX) {
        n = read(fd, text + len, FILE_MAX - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return folder_failed(path, why);
        len += (size_t)n;
    }
    *ret = TAKE(text);
    return OK;
}

static enum err read_private(const char *path, char **ret, struct diag *why)
{
    AUTO(closep)
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat facts;

    if (fd < 0 || fstat(fd, &facts))
        return folder_failed(path, why);
    if (!S_ISREG(facts.st_mode))
        return diag_set(why, ERR_ACCESS, "%s: not a regular file", path);
    enum err e = check_private(path, &facts, S_IRWXG | S_IRWXO, "600", why);
    return e ? e : read_text(fd, path, ret, why);
}

static void wipe(char **text)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(*text);
}

static enum err read_authority(const char *folder, const char *domain,
                               struct authority **ret, struct diag *why)
{
    AUTO_FREE char *path = key_path(folder, domain);
    AUTO(wipe) char *text = NULL;

    enum err e = read_private(path, &text, why);
    return e ? e : authority_read(text, domain, path, ret, why);
}

enum err ca_folder_read(const char *folder, const char *domain, struct authority **ret,
                        struct diag *why)
{
    AUTO(closep) int fd = -1;
    enum err e = open_folder(folder, &fd, why);

    return e ? e : read_authority(folder, domain, ret, why);
}

/* ---- making one ---- */

/* With its parents, all of mode 0700, as the XDG specification has it. */
static void make_folder(const char *folder)
{
    AUTO_FREE char *path = xstrdup(folder);

    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        mkdir(path, 0700);
        *at = '/';
    }
    mkdir(path, 0700);
}

/* Until the folder's descriptor is closed. */
static enum err lock_folder(int fd, const char *folder, struct diag *why)
{
    for (unsigned i = 0; i < LOCK_STEPS; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return OK;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return folder_failed(folder, why);
        usleep(LOCK_STEP_US);
    }
    return diag_set(why, ERR_IN_USE, "%s: another process has locked it", folder);
}

static enum err write_authority(const char *folder, const char *domain,
                                const struct authority *a, struct diag *why)
{
    AUTO_FREE char *secret = key_path(folder, domain);
    AUTO_FREE char *open_path = ca_folder_certificate(folder, domain);
    AUTO(wipe) char *text = authority_text(a);

    enum err e = file_replace(open_path, str_of(authority_certificate(a)), 0644, why);
    return e ? e : file_replace(secret, str_of(text), 0600, why);
}

static bool lasts(const struct authority *a)
{
    return authority_expiry(a) > time(NULL) + AUTHORITY_LEFT_DAYS * DAY_SECONDS;
}

static enum err make_authority(const char *folder, const char *domain,
                               struct authority **ret, struct diag *why)
{
    AUTO(authority_destroyp) struct authority *a = NULL;
    enum err e = authority_make(domain, &a, why);

    if (!e)
        e = write_authority(folder, domain, a, why);
    if (!e)
        *ret = TAKE(a);
    return e;
}

/* What is there, if it lasts; else a new one. */
static enum err read_or_make(const char *folder, const char *domain,
                             struct authority **ret, bool *ret_made, struct diag *why)
{
    AUTO(authority_destroyp) struct authority *a = NULL;
    enum err e = read_authority(folder, domain, &a, why);

    *ret_made = false;
    if (!e && lasts(a)) {
        *ret = TAKE(a);
        return OK;
    }
    if (e && e != ERR_NOT_FOUND)
        return e;
    *ret_made = true;
    return make_authority(folder, domain, ret, why);
}

enum err ca_folder_open(const char *folder, const char *domain, struct authority **ret,
                        bool *ret_made, struct diag *why)
{
    AUTO(closep) int fd = -1;

    make_folder(folder);
    enum err e = open_folder(folder, &fd, why);
    if (!e)
        e = lock_folder(fd, folder, why);
    return e ? e : read_or_make(folder, domain, ret, ret_made, why);
}

/* ---- all of them ---- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void ca_folder_list(const char *folder, struct texts *ret)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        struct str name = str_of(entry->d_name);
        if (str_ends(name, STR(KEY_SUFFIX)) && name.at[0] != '.')
            texts_add(ret, str_dup(str_first(name, name.len - strlen(KEY_SUFFIX))));
    }
    if (dir)
        closedir(dir);
    if (ret->count)
        qsort(ret->at, ret->count, sizeof(*ret->at), compare_texts);
}

static enum err delete_file(const char *path, struct diag *why)
{
    return unlink(path) == 0 || errno == ENOENT ? OK : folder_failed(path, why);
}

enum err ca_folder_delete(const char *folder, const char *domain, struct diag *why)
{
    AUTO_FREE char *secret = key_path(folder, domain);
    AUTO_FREE char *open_path = ca_folder_certificate(folder, domain);
    enum err e = delete_file(secret, why);

    if (!e)
        e = delete_file(open_path, why);
    rmdir(folder); /* unless another authority is in it */
    return e;
}
