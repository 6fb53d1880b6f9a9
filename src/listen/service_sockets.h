/* listen/service_sockets.h - where the connections of a listener for all services lead */
#pragma once

#include <netinet/in.h>

struct exposed;

/* How a listener for all services with one port finds where a connection leads; borrowed. */
struct service_sockets {
    /* Borrowed for the call.  NULL: the address has no such port: the connection is reset. */
    struct exposed *(*find)(void *owner, struct in_addr at, uint16_t port);
    void *owner;
};
