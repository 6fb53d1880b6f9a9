/* net/outside_dial.h - connect to a host outside the cluster, on behalf of a client
 *
 * Resolves the name once, checks each address, and connects to the very address that was
 * checked: a name that resolves to another address the next time gains nothing.  Several
 * addresses are tried as RFC 8305 describes: families alternate, the next attempt begins
 * after 250 ms or when the last one has failed, and the first that connects is used.
 */
#pragma once

#include <sys/socket.h>

#include "net/loop.h"
#include "net/own_addresses.h"
#include "net/stream.h"

#define OUTSIDE_NEXT_MS 250 /* until the next address is tried, too */

struct name_lookups;

/* By what hosts are resolved and checked; owned by the caller, and outlives the dials. */
struct outside_dialer {
    struct loop *loop;
    struct own_addresses *own;
    struct name_lookups *lookups;
    /* outside_address_check; tests allow loopback */
    enum err (*check)(const struct sockaddr *sa, struct own_addresses *own,
                      struct diag *why);
};

/* The caller's struct, zeroed before; it stays where it is until outside_dial_finish.
 *   ERR_AGAIN     under way; `wake` is woken when that changes
 *   OK            `stream` is the caller's once it is taken (set to NULL)
 *   ERR_CLOSED    none of the addresses may be connected to: why has one, and its kind
 *   ERR_RESOLVE   the name has no address
 *   ERR_REFUSED   why has the address that refused
 *   ERR_TIMEOUT   neither resolved nor connected in time
 *   ERR_CONNECT, ERR_NO_FILES  as of tcp_dial
 *   ERR_LIMIT     too many names are being resolved */
struct outside_dial {
    enum err result;
    struct stream *stream;
    struct diag why;
    struct task *wake;
    struct outside_attempts *attempts; /* private */
};

/* host: a name or an address without brackets; copied.  The outcome may be known before it
 * returns; then `wake` is not woken. */
void outside_dial_start(struct outside_dial *d, struct outside_dialer *by,
                        const char *host, uint16_t port, uint64_t timeout_ms,
                        struct task *wake);
/* Cancels; closes a stream that was not taken; idempotent; a zeroed struct is accepted. */
void outside_dial_finish(struct outside_dial *d);
