/* addresses/pin.h - keep the addresses of whole namespaces open, and report changes of them
 *
 * For `kube-tunnel exec`, whose hosts file has the names of a namespace.  A pin looks at the
 * services of one cluster every PIN_SCAN_MS, opens the address of each, and of the pods of
 * headless services that have names, and keeps it open.  At most PIN_NAMES_MAX names of a pin, and
 * three quarters of all listeners, are pinned.  What is beyond that is left out: at an address that
 * is not listened on, another user's program could get the clients.  For the same reason an address
 * that is not pinned any more closes as one that was looked up does.
 * Where services may not be listed, only those that were looked up are known.
 */
#pragma once

#include "addresses/parts.h"
#include "base/texts.h"

#define PIN_SCAN_MS 1000
#define PIN_NAMES_MAX 10000
#define PINS_MAX 16

struct addresses;
struct address_pin;
struct in_addr;
struct task;

/* namespaces: none: all of them; taken over.  wake: woken when pin_next may return something;
 * borrowed.  ERR_NOT_CONFIGURED, ERR_CONFIG: of the cluster.  ERR_LIMIT: there are PINS_MAX. */
MUST_CHECK enum err pin_open(struct addresses *a, struct str cluster,
                             struct texts *namespaces, struct task *wake,
                             struct address_pin **ret, struct diag *why);
void pin_close(struct address_pin *p); /* NULL accepted */

enum pin_event {
    PIN_NOTHING,
    PIN_NAME,     /* new, or changed */
    PIN_GONE,     /* no client may be sent there any more */
    PIN_LEFT_OUT, /* once: there is no room for all names; see max-address-listeners */
    PIN_READY,    /* once, after the names that were there at first */
};
/* Borrowed until the next call. */
struct pin_change {
    enum pin_event event;
    struct address_key key;
    uint32_t address; /* host byte order */
    bool headless;
    uint16_t ports[100]; /* that are open */
    size_t port_count;
    size_t left_out; /* services and endpoints, at present */
};
/* The next one that was not reported. */
void pin_next(struct address_pin *p, struct pin_change *ret);
