/* addresses/addresses_state.h - the body of struct addresses; private to addresses/ */
#pragma once

#include "addresses/parts.h"
#include "addresses/problems.h"
#include "addresses/table.h"
#include "base/sched.h"
#include "listen/service_socket.h"

struct config;
struct open_ports;

/* A port that was released (addresses_release): not listened on before `until`. */
struct released {
    uint16_t port;
    uint64_t until; /* sched ms */
};

struct addresses {
    struct addresses_parts parts;
    struct sched *sched;
    const struct config *config; /* a reference */
    struct listeners *listeners; /* borrowed; NULL: nothing may be opened */
    struct service_sockets services;
    struct problems problems;

    /* addresses/addresses.c */
    struct address_table table;
    bool loaded;       /* the state file was looked at */
    bool keeps;        /* it may be written */
    struct diag state; /* why the state file is not used; "": it is */
    struct timer save_later;
    uint64_t
        save_pause; /* ms until what could not be written is tried again; 0: it was written */

    /* addresses/opened.c */
    struct list_node opened; /* struct opened, the least recently used first */
    struct timer sweep;
    uint64_t refused; /* were not opened, because there were too many */
    /* Closes addresses that are not in use, but not this one, until at most so many sockets are
     * open; none if that is not enough. */
    void (*make_room)(struct addresses *a, const struct open_ports *but, size_t sockets);

    size_t pins; /* addresses/pin.c */

    /* addresses/ports.c */
    size_t sockets;          /* all that are open */
    size_t sockets_max;      /* of the limit on descriptors */
    struct list_node shared; /* struct shared_port */
    struct released *released;
    size_t released_count;
};

/* The entry of a key, made where there is none. */
MUST_CHECK enum err addresses_entry(struct addresses *a, const struct address_key *key,
                                    struct address_entry **ret, struct diag *why);
/* NULL: there is none. */
struct address_entry *addresses_find(const struct addresses *a,
                                     const struct address_key *key);
/* Not more sockets than this are opened. */
size_t addresses_sockets_max(const struct addresses *a);
/* The key of an entry, with the cluster's label.  False: its context is not selected any more. */
bool addresses_key(const struct addresses *a, const struct address_entry *e,
                   struct address_key *ret);
