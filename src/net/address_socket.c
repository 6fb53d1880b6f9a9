/* net/address_socket.c - a socket for one address, and errors that name the address */
#include "net/address_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"

enum err address_socket(const struct sockaddr *sa, int type, int *ret_fd,
                        struct diag *why)
{
    char text[ADDRESS_TEXT];
    int on = 1;

    int fd = socket(sa->sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        int error = errno;
        address_text(sa, text);
        return diag_set(why, error == EMFILE ? ERR_NO_FILES : ERR_CONFIG, "%s: %s", text,
                        strerror(error));
    }
    if (sa->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    *ret_fd = fd;
    return OK;
}

enum err address_socket_failed(const struct sockaddr *sa, int fd, struct diag *why)
{
    char text[ADDRESS_TEXT];
    int error = errno;

    address_text(sa, text);
    close(fd);
    enum err e = error == EADDRINUSE ? ERR_IN_USE
                 : error == EACCES   ? ERR_ACCESS
                                     : ERR_CONFIG;
    return diag_set(why, e, "%s: %s", text, strerror(error));
}
