/* addresses/opened.h - addresses whose ports are listened on
 *
 * An address is opened by a look-up, and closed when no look-up and no connection has used it for
 * the time of the setting address-idle.  Where there are too many listeners for another, an address
 * that no client has connected to closes earlier, but not before the time in which the client of
 * its last look-up may begin to (promised_ms).  One that was connected to never does: its clients may
 * have it still, and another user's program could take it.
 * From the first client on its listeners follow the service, while the catalog watches that.
 * Private to addresses/.
 */
#pragma once

#include "addresses/ports.h"

struct service;

/* Opens or refreshes the address of an entry.  ERR_IN_USE: a program of another user has one of
 * its ports.  ERR_LIMIT, ERR_NO_FILES: too many are open. */
MUST_CHECK enum err opened_open(struct addresses *a, struct address_entry *entry,
                                const struct service *service, struct diag *why);
void opened_close(struct address_entry *e); /* nothing if it is not open */
/* Follows its service from now on; closes if the catalog knows that it is gone. */
void opened_follow(struct address_entry *e);
/* Ends one of its pins, which counts as a use. */
void opened_unpin(struct address_entry *e);

size_t opened_sockets(const struct address_entry *e); /* that are not shared */
size_t opened_pinned_sockets(const struct addresses *a);

void opened_init(struct addresses *a);
void opened_close_all(struct addresses *a);
/* The settings have changed: closes what they do not allow. */
void opened_check(struct addresses *a);
/* Closes its listeners on this port; returns how many. */
size_t opened_release(struct address_entry *e, uint16_t port);

/* Where a client of the port leads, which counts as a use.  NULL: no such port is open. */
struct exposed *opened_connect(struct address_entry *e, uint16_t port);

struct opened_status {
    const char *name; /* "web.shop.svc" */
    uint32_t address;
    const struct open_ports *ports;
    uint64_t idle_ms;
    bool pinned;
};
bool opened_status(const struct address_entry *e, struct opened_status *ret);
