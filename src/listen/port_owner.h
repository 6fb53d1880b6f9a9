/* listen/port_owner.h - the process that uses a port that could not be bound
 *
 * Read from /proc: the listening socket's inode, then the process that has it open.
 * Processes of other users are only visible to root; the user of a socket is always.
 * Private to listen/, but for ports_on_all_addresses.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

/* Whose socket listens there; read from one file. */
struct port_user {
    uint32_t uid;
    unsigned long inode;
    bool everywhere; /* at every address, not only at this one */
};
bool port_user_find(const struct sockaddr *sa, uint16_t port, struct port_user *ret);

struct port_owner {
    uint32_t uid;  /* of the socket */
    long pid;      /* 0: it is not visible */
    char name[32]; /* of the program; "": likewise */
};

/* The same with the process, for which the open files of all processes are looked at.
 * The process that listens on this port, at this address or one that includes it.  False: there
 * is none. */
bool port_owner_find(const struct sockaddr *sa, uint16_t port, struct port_owner *ret);

/* The ports that programs listen on at every address (0.0.0.0 or ::), in ascending order and
 * at most `room`; returns how many. */
size_t ports_on_all_addresses(uint16_t *ret, size_t room);

/* "port 80 on 127.0.0.1 is already in use, by nginx (pid 123)", or without the process
 * where it is not visible.  Returns ERR_IN_USE. */
enum err port_owner_explain(const struct sockaddr *sa, const char *host, uint16_t port,
                            struct diag *why);
