/* control/claim.c - the control socket of one name, held by one process */
#include "control/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

#define BACKLOG 16

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };

    str_append(at.sun_path, sizeof(at.sun_path) - 1, 0, str_of(path));
    return at;
}

/* The process that listens on the socket; 0: none, or it is not known. */
static int listener_pid(const char *path)
{
    const struct sockaddr_un at = address_of(path);
    struct ucred process = { 0 };
    socklen_t len = sizeof(process);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return 0;
    if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &len))
        process.pid = 0;
    close(fd);
    return process.pid;
}

static enum err lock(const struct place *p, int *ret, struct diag *why)
{
    int fd = open(p->lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return diag_set(why, ERR_IO, "%s: %s", p->lock, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        close(fd);
        return diag_set(why, ERR_IN_USE, "another kube-tunnel has %s", p->socket);
    }
    fchmod(fd, 01600); /* systemd-tmpfiles removes no sticky file because of its age */
    *ret = fd;
    return OK;
}

/* A live process without a lock: its lock file was removed, and another one locked. */
static enum err find_no_listener(const struct place *p, int *ret_pid, struct diag *why)
{
    *ret_pid = listener_pid(p->socket);
    return *ret_pid ? diag_set(why, ERR_IN_USE, "another kube-tunnel has %s", p->socket)
                    : OK;
}

/* On Linux the mode of a socket before bind becomes the mode of its file. */
static enum err bind_socket(const char *path, int *ret, struct diag *why)
{
    const struct sockaddr_un at = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    unlink(path);
    if (fd >= 0 && !fchmod(fd, 0600) &&
        !bind(fd, (const struct sockaddr *)&at, sizeof(at)) && !listen(fd, BACKLOG)) {
        *ret = fd;
        return OK;
    }
    enum err e = diag_set(why, ERR_IO, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return e;
}

enum err claim_take(const char *name, struct claim *ret, int *ret_pid, struct diag *why)
{
    struct place p;

    *ret_pid = 0;
    *ret = (struct claim){ .lock = -1, .socket = -1 };
    enum err e = place_find(name, true, &p, why);
    if (!e)
        e = lock(&p, &ret->lock, why);
    if (e == ERR_IN_USE)
        *ret_pid = listener_pid(p.socket);
    if (!e)
        e = find_no_listener(&p, ret_pid, why);
    if (!e)
        e = bind_socket(p.socket, &ret->socket, why);
    if (e)
        claim_release(ret);
    else
        memcpy(ret->path, p.socket, sizeof(ret->path));
    return e;
}

/* The lock file stays: without it two processes could lock two files of one name. */
void claim_release(struct claim *c)
{
    if (c->path[0])
        unlink(c->path);
    c->path[0] = '\0';
    if (c->socket >= 0)
        close(c->socket);
    if (c->lock >= 0)
        close(c->lock);
    c->socket = c->lock = -1;
}
