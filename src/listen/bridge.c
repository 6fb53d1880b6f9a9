/* listen/bridge.c - listeners at the addresses of bridges, for containers */
#include "listen/bridge.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "listen/listeners.h"
#include "net/changes.h"
#include "net/own_addresses.h"
#include "net/tcp.h"

LOG_MODULE(listen);

/* Made by Docker, by Podman, and by Podman before version 4. */
static const char *const known[] = { "docker0", "podman0", "cni-podman0" };

struct bridge {
    struct list_node node;
    char interface[IF_NAMESIZE];
    uint16_t port;
    struct in_addr at;          /* that was bound, or could not be; 0: none */
    struct listen_socket *open; /* NULL: it is not */
    bool wanted;                /* scratch of bridges_configure */
};

struct bridges {
    struct listeners *all;
    struct list_node list;
    struct changes *changes; /* NULL while the list is empty */
    struct task on_change;
};

/* The first IPv4 address of an interface that is up; 0: none. */
static struct in_addr address_of(const struct ifaddrs *all, const char *interface)
{
    for (const struct ifaddrs *a = all; a; a = a->ifa_next)
        if (a->ifa_addr && a->ifa_addr->sa_family == AF_INET && (a->ifa_flags & IFF_UP) &&
            strcmp(a->ifa_name, interface) == 0)
            return ((const struct sockaddr_in *)a->ifa_addr)->sin_addr;
    return (struct in_addr){ 0 };
}

static void bridge_stop(struct bridge *b)
{
    b->at = (struct in_addr){ 0 };
    if (!b->open)
        return;
    log_info(NO_ID, "no longer listening", LOG_S("address", b->open->address),
             LOG_S("interface", b->interface));
    listen_socket_close(TAKE(b->open));
}

static void bridge_start(struct bridge *b, struct listeners *l, struct in_addr at)
{
    const struct sockaddr_in sa = { .sin_family = AF_INET,
                                    .sin_port = htons(b->port),
                                    .sin_addr = at };
    struct diag why = { "" };
    int fd;

    b->at = at;
    enum err e = listen_socket_on((const struct sockaddr *)&sa, sizeof(sa), b->interface,
                                  &fd, &why);
    if (e) {
        log_warn(NO_ID, "cannot listen for containers", LOG_S("interface", b->interface),
                 LOG_U("port", b->port), LOG_S("reason", diag_text(&why, e)));
        return;
    }
    listen_socket_open(l, fd, NULL);
    b->open = list_last(&l->sockets, struct listen_socket, node);
    b->open->bridge = true;
}

static void look_at(struct bridges *b)
{
    struct ifaddrs *all = NULL;

    if (getifaddrs(&all))
        return;
    list_for_each (each, &b->list, struct bridge, node) {
        struct in_addr at = address_of(all, each->interface);
        if (at.s_addr == each->at.s_addr)
            continue;
        bridge_stop(each);
        if (at.s_addr)
            bridge_start(each, b->all, at);
    }
    freeifaddrs(all);
}

static void on_bridges_change(struct task *t)
{
    struct bridges *b = container_of(t, struct bridges, on_change);

    own_addresses_destroy(b->all->own); /* they are read again when they are needed */
    b->all->own = own_addresses_create(t->sched);
    look_at(b);
}

struct bridges *bridges_create(struct listeners *l)
{
    struct bridges *b = xcalloc(1, sizeof(*b));

    b->all = l;
    list_init(&b->list);
    task_init(&b->on_change, loop_sched(l->loop), RANK_WORK, on_bridges_change);
    return b;
}

static void drop(struct bridge *b)
{
    bridge_stop(b);
    list_remove(&b->node);
    free(b);
}

void bridges_destroy(struct bridges *b)
{
    if (!b)
        return;
    list_for_each (each, &b->list, struct bridge, node)
        drop(each);
    changes_close(b->changes);
    task_cancel(&b->on_change);
    free(b);
}

static void want(struct bridges *b, const char *interface, uint16_t port)
{
    list_for_each (each, &b->list, struct bridge, node) {
        if (each->port != port || strcmp(each->interface, interface) != 0)
            continue;
        each->wanted = true;
        return;
    }
    struct bridge *fresh = xcalloc(1, sizeof(*fresh));
    snprintf(fresh->interface, sizeof(fresh->interface), "%s", interface);
    fresh->port = port;
    fresh->wanted = true;
    list_append(&b->list, &fresh->node);
}

void bridges_configure(struct bridges *b, const struct listen_list *wanted)
{
    list_for_each (each, &b->list, struct bridge, node)
        each->wanted = false;
    for (size_t i = 0; i < wanted->count; i++) {
        const struct listen_address *a = &wanted->at[i];
        if (a->host[0] == LISTEN_INTERFACE)
            want(b, a->host + 1, a->port);
        for (size_t j = 0; j < ARRAY_LEN(known) && strcmp(a->host, LISTEN_DOCKER) == 0;
             j++)
            want(b, known[j], a->port);
    }
    list_for_each (each, &b->list, struct bridge, node)
        if (!each->wanted)
            drop(each);
    if (!list_empty(&b->list) && !b->changes)
        b->changes = changes_open(b->all->loop, &b->on_change);
    look_at(b);
}
