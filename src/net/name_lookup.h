/* net/name_lookup.h - resolve a host name on a thread of its own
 *
 * getaddrinfo waits, and cannot be cancelled.  So each look-up has a detached thread and
 * memory that both sides share: a caller that does not want to wait longer drops its
 * reference, and the thread frees the rest when the resolver returns.  The caller polls
 * `done`.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define NAME_LOOKUP_MAX 16 /* addresses of one name */

/* Look-ups whose threads run.  One for each owner that limits them. */
struct name_lookups;

struct name_lookup {
    atomic_bool done; /* then, and not before, the fields below are set */
    int error;        /* of getaddrinfo; 0: there is at least one address */
    struct sockaddr_storage found[NAME_LOOKUP_MAX]; /* in the order of RFC 6724 */
    size_t count;

    atomic_int refs; /* private, like what follows */
    struct name_lookups *all;
    char *host, port[8];
};

struct name_lookups *name_lookups_create(unsigned max);
void name_lookups_destroy(
    struct name_lookups *all); /* also while threads run; NULL accepted */

/* With one reference.  all: NULL for no limit.  NULL: too many run, or no thread could be
 * created. */
struct name_lookup *name_lookup_start(struct name_lookups *all, const char *host,
                                      uint16_t port);
void name_lookup_unref(struct name_lookup *l); /* NULL accepted */
