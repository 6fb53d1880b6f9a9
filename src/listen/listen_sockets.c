/* listen/listen_sockets.c - bind a listen address of the settings, which may be two
 * sockets */
#include "listen/listen_sockets.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "base/address.h"
#include "base/own.h"
#include "listen/port_owner.h"
#include "net/tcp.h"

/* With port 0 the kernel chooses a port for the first socket, and it may be in use for
 * the second. */
#define RANDOM_PORT_TRIES 16

/* One or two numeric hosts; NULL: no second one. */
struct hosts {
    const char *at[2];
};

static struct hosts hosts_of(const struct listen_address *a, bool in_pod)
{
    struct str host = str_of(a->host);

    if (str_eq(host, STR("*")) || (str_empty(host) && in_pod))
        return (struct hosts){ { "0.0.0.0", "::" } };
    if (str_eq(host, STR("localhost")) || str_empty(host))
        return (struct hosts){ { "127.0.0.1", "::1" } };
    return (struct hosts){ { a->host, NULL } };
}

static enum err explain_bind(enum err e, const char *host, uint16_t port,
                             const struct sockaddr *sa, struct diag *why)
{
    if (e == ERR_IN_USE)
        return port_owner_explain(sa, host, port, why);
    if (e == ERR_ACCESS)
        return diag_set(
            why, e,
            "port %u on %s needs a privilege (setcap cap_net_bind_service=+ep on the "
            "program, sysctl net.ipv4.ip_unprivileged_port_start=%u, or a socket from "
            "systemd)",
            port, host, port);
    return e;
}

static enum err bind_host(const char *host, uint16_t port, int *ret_fd, struct diag *why)
{
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                              .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    char service[8];

    snprintf(service, sizeof(service), "%u", port);
    int error = getaddrinfo(host, service, &hints, &found);
    if (error)
        return diag_set(why, ERR_CONFIG, "%s: %s", host, gai_strerror(error));
    enum err e = listen_socket(found->ai_addr, found->ai_addrlen, ret_fd, why);
    if (e)
        explain_bind(e, host, port, found->ai_addr, why);
    freeaddrinfo(found);
    return e;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage at = { 0 };
    socklen_t len = sizeof(at);

    getsockname(fd, (struct sockaddr *)&at, &len);
    return address_port((struct sockaddr *)&at);
}

static enum err bind_hosts(struct hosts hosts, uint16_t port, struct listen_sockets *ret,
                           struct diag *why)
{
    struct listen_sockets sockets = { .fds = { -1, -1 }, .count = 1 };

    enum err e = bind_host(hosts.at[0], port, &sockets.fds[0], why);
    if (e)
        return e;
    if (hosts.at[1]) {
        e = bind_host(hosts.at[1], bound_port(sockets.fds[0]), &sockets.fds[1], why);
        sockets.count += e == OK;
    }
    if (e && e != ERR_CONFIG) { /* ERR_CONFIG: no IPv6 here */
        close(sockets.fds[0]);
        return e;
    }
    *ret = sockets;
    return OK;
}

enum err listen_sockets_bind(const struct listen_address *a, bool in_pod,
                             struct listen_sockets *ret, struct diag *why)
{
    struct hosts hosts = hosts_of(a, in_pod);
    enum err e = bind_hosts(hosts, a->port, ret, why);

    for (int i = 1; e == ERR_IN_USE && a->port == 0 && i < RANDOM_PORT_TRIES; i++)
        e = bind_hosts(hosts, a->port, ret, why);
    return e;
}
