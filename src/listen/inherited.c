/* listen/inherited.c - sockets that systemd opened for this process */
#include "listen/inherited.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"

static uint64_t number_from(const char *variable)
{
    uint64_t number;

    if (str_to_uint(str_of(getenv(variable)), INT32_MAX, &number))
        return 0;
    return number;
}

static bool option_is(int fd, int option, int wanted)
{
    int value = 0;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 && value == wanted;
}

static enum err adopt(int fd, struct diag *why)
{
    if (!option_is(fd, SO_TYPE, SOCK_STREAM) || !option_is(fd, SO_ACCEPTCONN, 1))
        return diag_set(why, ERR_CONFIG,
                        "descriptor %d from LISTEN_FDS is not a listening stream socket",
                        fd);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return OK;
}

enum err inherited_take(size_t *ret_count, struct diag *why)
{
    bool ours = number_from("LISTEN_PID") == (uint64_t)getpid();
    uint64_t count = ours ? number_from("LISTEN_FDS") : 0;
    enum err e = OK;

    if (count > INHERITED_MAX)
        return diag_set(why, ERR_LIMIT, "LISTEN_FDS: more than %d sockets",
                        INHERITED_MAX);
    for (int i = 0; !e && i < (int)count; i++)
        e = adopt(INHERITED_FIRST + i, why);
    if (e)
        return e;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    *ret_count = count;
    return OK;
}
