/* control/place.c - the directory of control sockets, and the sockets' names in it */
#include "control/place.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

#define FOLDER "kube-tunnel"
#define SUFFIX ".sock"

/* A relative XDG_RUNTIME_DIR is ignored, as its specification requires. */
static void name_directory(char ret[static PLACE_ROOM])
{
    const char *base = getenv("XDG_RUNTIME_DIR");

    if (base && base[0] == '/')
        snprintf(ret, PLACE_ROOM, "%s/" FOLDER, base);
    else
        snprintf(ret, PLACE_ROOM, "/tmp/" FOLDER "-%u", geteuid());
}

static enum err check_directory(const char *path, struct diag *why)
{
    struct stat facts;

    if (lstat(path, &facts))
        return diag_set(why, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path,
                        strerror(errno));
    if (!S_ISDIR(facts.st_mode))
        return diag_set(why, ERR_ACCESS, "%s is not a directory; remove it", path);
    if (facts.st_uid != geteuid())
        return diag_set(why, ERR_ACCESS,
                        "%s belongs to user %u; set XDG_RUNTIME_DIR to a directory of "
                        "your own",
                        path, facts.st_uid);
    if (facts.st_mode & 077)
        return diag_set(why, ERR_ACCESS, "other users may use %s; type: chmod 700 %s",
                        path, path);
    return OK;
}

static enum err set_paths(const char *name, struct place *p, struct diag *why)
{
    int n = snprintf(p->socket, sizeof(p->socket), "%s/%s" SUFFIX, p->directory, name);

    if (n < 0 || (size_t)n >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return diag_set(why, ERR_LIMIT,
                        "%s: the path is too long for a socket; set XDG_RUNTIME_DIR to a "
                        "shorter one",
                        p->directory);
    snprintf(p->lock, sizeof(p->lock), "%.*s.lock", n - (int)sizeof(SUFFIX) + 1,
             p->socket);
    return OK;
}

enum err place_find(const char *name, bool create, struct place *ret, struct diag *why)
{
    name_directory(ret->directory);
    if (create && mkdir(ret->directory, 0700) && errno != EEXIST)
        return diag_set(why, ERR_IO, "%s: %s", ret->directory, strerror(errno));
    enum err e = check_directory(ret->directory, why);
    return e ? e : set_paths(name, ret, why);
}

void place_each(const struct place *p, void (*each)(void *owner, const char *name),
                void *owner)
{
    DIR *folder = opendir(p->directory);

    if (!folder)
        return;
    for (struct dirent *d = readdir(folder); d; d = readdir(folder)) {
        struct str name = str_of(d->d_name);
        if (name.len <= sizeof(SUFFIX) - 1 || !str_ends(name, STR(SUFFIX)))
            continue;
        d->d_name[name.len - (sizeof(SUFFIX) - 1)] = '\0';
        each(owner, d->d_name);
    }
    closedir(folder);
}
