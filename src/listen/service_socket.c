/* listen/service_socket.c - listeners at the loopback addresses of services */
#include "listen/service_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/own.h"
#include "listen/listeners.h"
#include "listen/port_owner.h"
#include "net/tcp.h"

#define DEVICE "lo"

static struct sockaddr_in place_of(struct in_addr at, uint16_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr = at };
}

enum err service_port_user(struct in_addr at, uint16_t port, bool *ret_everywhere,
                           struct diag *why)
{
    const struct sockaddr_in sa = place_of(at, port);
    char host[INET6_ADDRSTRLEN];
    struct port_user user;

    *ret_everywhere = false;
    if (!port_user_find((const struct sockaddr *)&sa, port, &user))
        return OK;
    *ret_everywhere = user.everywhere;
    address_ip_text((const struct sockaddr *)&sa, host);
    return diag_set(why,
                    user.uid == 0 || user.uid == geteuid() ? ERR_IN_USE : ERR_FORBIDDEN,
                    "port %u on %s is in use, by a program of user %u", port,
                    user.everywhere ? "every address" : host, user.uid);
}

void service_port_explain(struct in_addr at, uint16_t port, struct diag *why)
{
    const struct sockaddr_in sa = place_of(at, port);
    struct port_owner owner;

    if (!port_owner_find((const struct sockaddr *)&sa, port, &owner) || !owner.pid)
        return;
    if (owner.pid == getpid())
        diag_set(why, ERR_IN_USE,
                 "kube-tunnel itself listens on port %u; see --listen and --expose",
                 port);
    else
        diag_set(why, ERR_IN_USE, "port %u is in use, by %s (pid %ld)", port, owner.name,
                 owner.pid);
}

static enum err explain(enum err e, const struct sockaddr_in *sa, struct diag *why)
{
    uint16_t port = ntohs(sa->sin_port);

    if (e == ERR_ACCESS)
        return diag_set(why, e,
                        "port %u needs a privilege: sudo sysctl "
                        "net.ipv4.ip_unprivileged_port_start=%u",
                        port, port);
    return e;
}

static struct listen_socket *start_socket(struct listeners *l,
                                          const struct service_sockets *services, int fd,
                                          const struct sockaddr_in *sa)
{
    struct listen_socket *d = xcalloc(1, sizeof(*d));

    d->all = l;
    d->port = ntohs(sa->sin_port);
    d->loopback = true;
    d->services = services;
    d->at = sa->sin_addr;
    listen_socket_start(d, fd);
    list_append(&l->service_sockets, &d->node);
    return d;
}

enum err service_socket_open(struct listeners *l, const struct service_sockets *services,
                             struct in_addr at, uint16_t port, struct listen_socket **ret,
                             struct diag *why)
{
    const struct sockaddr_in sa = place_of(at, port);
    int fd;
    enum err e = listen_socket((const struct sockaddr *)&sa, sizeof(sa), &fd, why);

    if (e)
        return explain(e, &sa, why);
    *ret = start_socket(l, services, fd, &sa);
    return OK;
}

enum err service_socket_open_port(struct listeners *l,
                                  const struct service_sockets *services, uint16_t port,
                                  struct listen_socket **ret, struct diag *why)
{
    const struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
    int fd;
    enum err e =
        listen_socket_on((const struct sockaddr *)&sa, sizeof(sa), DEVICE, &fd, why);

    if (e)
        return explain(e, &sa, why);
    *ret = start_socket(l, services, fd, &sa);
    return OK;
}

void service_socket_accept_waiting(struct listen_socket *d)
{
    listener_accept_waiting(d->listener);
}

void service_socket_close(struct listen_socket *d)
{
    listen_socket_close(d);
}
