/* listen/service_sockets.h - what listeners at addresses of services need from their owner */
#pragma once

#include <netinet/in.h>

struct exposed;

/* What listeners at addresses of services need from addresses/; borrowed. */
struct service_sockets {
    /* Where the connection of a client that may connect leads; borrowed for the call.
     * NULL: the address has no such port: the connection is reset. */
    struct exposed *(*find)(void *owner, struct in_addr at, uint16_t port);
    /* Closes all of them with this port: the settings want it at every address. */
    void (*give_up)(void *owner, uint16_t port);
    void *owner;
};
