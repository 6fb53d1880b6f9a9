/* listen/port_owner.c - the process that uses a port that could not be bound */
#include "listen/port_owner.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCP_LISTENING 0x0a
#define ADDRESS_HEX 33

/* An address in the format of /proc/net/tcp: 32-bit numbers in this machine's byte
 * order. */
static void address_hex(const struct sockaddr *sa, char out[static ADDRESS_HEX])
{
    const struct sockaddr_in *v4 = (const void *)sa;
    const struct sockaddr_in6 *v6 = (const void *)sa;
    uint32_t parts[4] = { 0 };
    size_t count = sa->sa_family == AF_INET6 ? 4 : 1;

    if (count == 4)
        memcpy(parts, &v6->sin6_addr, sizeof(parts));
    else
        parts[0] = v4->sin_addr.s_addr;
    for (size_t i = 0; i < count; i++)
        snprintf(out + 8 * i, 9, "%08X", parts[i]);
}

static bool is_any(const char *hex)
{
    return strspn(hex, "0") == strlen(hex);
}

/* Two listeners of a port conflict if their addresses are the same or one is the wildcard
 * address. */
static bool collides(const char *theirs, const char *ours)
{
    return strcmp(theirs, ours) == 0 || is_any(theirs) || is_any(ours);
}

static bool find_listening(const char *table, const char *address, uint16_t port,
                           struct port_user *ret)
{
    char line[512], theirs[ADDRESS_HEX];
    unsigned long inode;
    unsigned their_port, state, uid;
    bool found = false;
    FILE *f = fopen(table, "re");

    while (f && !found && fgets(line, sizeof(line), f)) {
        int n = sscanf(line, "%*u: %32[0-9A-F]:%x %*s %x %*s %*s %*s %u %*u %lu", theirs,
                       &their_port, &state, &uid, &inode);
        if (n != 5 || state != TCP_LISTENING || their_port != port ||
            !collides(theirs, address))
            continue;
        found = true;
        *ret = (struct port_user){ uid, inode, is_any(theirs) };
    }
    if (f)
        fclose(f);
    return found;
}

static bool links_to(const char *path, const char *wanted)
{
    char target[64];
    ssize_t n = readlink(path, target, sizeof(target) - 1);

    if (n < 0)
        return false;
    target[n] = '\0';
    return strcmp(target, wanted) == 0;
}

static bool has_open(const char *pid, const char *socket)
{
    char path[300];
    bool found = false;

    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    DIR *fds = opendir(path);
    for (struct dirent *fd; fds && !found && (fd = readdir(fds));) {
        snprintf(path, sizeof(path), "/proc/%s/fd/%.20s", pid, fd->d_name);
        found = links_to(path, socket);
    }
    if (fds)
        closedir(fds);
    return found;
}

/* The process that has the socket open, or 0. */
static long owner_of(unsigned long inode)
{
    char socket[64];
    long found = 0;

    snprintf(socket, sizeof(socket), "socket:[%lu]", inode);
    DIR *processes = opendir("/proc");
    for (struct dirent *p; processes && !found && (p = readdir(processes));) {
        long pid = strtol(p->d_name, NULL, 10);
        if (pid > 0 && has_open(p->d_name, socket))
            found = pid;
    }
    if (processes)
        closedir(processes);
    return found;
}

static void name_of(long pid, char *out, size_t room)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
    FILE *f = fopen(path, "re");
    if (!f || !fgets(out, (int)room, f))
        snprintf(out, room, "a process");
    out[strcspn(out, "\n")] = '\0';
    if (f)
        fclose(f);
}

bool port_user_find(const struct sockaddr *sa, uint16_t port, struct port_user *ret)
{
    char address[ADDRESS_HEX];

    address_hex(sa, address);
    return find_listening("/proc/net/tcp", address, port, ret) ||
           find_listening("/proc/net/tcp6", address, port, ret);
}

bool port_owner_find(const struct sockaddr *sa, uint16_t port, struct port_owner *ret)
{
    struct port_user user;

    *ret = (struct port_owner){ 0 };
    if (!port_user_find(sa, port, &user))
        return false;
    ret->uid = user.uid;
    ret->pid = owner_of(user.inode);
    if (ret->pid)
        name_of(ret->pid, ret->name, sizeof(ret->name));
    return true;
}

enum err port_owner_explain(const struct sockaddr *sa, const char *host, uint16_t port,
                            struct diag *why)
{
    struct port_owner owner;

    if (!port_owner_find(sa, port, &owner) || !owner.pid)
        return diag_set(why, ERR_IN_USE, "port %u on %s is already in use", port, host);
    if (owner.pid == getpid())
        return diag_set(why, ERR_IN_USE, "port %u on %s is configured twice", port, host);
    return diag_set(why, ERR_IN_USE, "port %u on %s is already in use, by %s (pid %ld)",
                    port, host, owner.name, owner.pid);
}

/* Keeps them in order, each once. */
static void insert_port(uint16_t *ports, size_t *count, size_t room, uint16_t port)
{
    size_t at = 0;

    while (at < *count && ports[at] < port)
        at++;
    if ((at < *count && ports[at] == port) || *count == room)
        return;
    memmove(ports + at + 1, ports + at, (*count - at) * sizeof(*ports));
    ports[at] = port;
    (*count)++;
}

static void add_ports_of(const char *table, uint16_t *ret, size_t *count, size_t room)
{
    char line[512], address[ADDRESS_HEX];
    unsigned port, state;
    FILE *f = fopen(table, "re");

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "%*u: %32[0-9A-F]:%x %*s %x", address, &port, &state) == 3 &&
            state == TCP_LISTENING && is_any(address) && port <= UINT16_MAX)
            insert_port(ret, count, room, (uint16_t)port);
    if (f)
        fclose(f);
}

size_t ports_on_all_addresses(uint16_t *ret, size_t room)
{
    size_t count = 0;

    add_ports_of("/proc/net/tcp", ret, &count, room);
    add_ports_of("/proc/net/tcp6", ret, &count, room);
    return count;
}
