/* control/parts.h - what the control socket reads, and what it may have the process do */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct addresses;
struct clusters;
struct config;
struct listeners;
struct loop;
struct naming;
struct serve;
struct setting_changes;

/* What a request may have the process do. */
struct control_orders {
    void (*stop)(void *owner, bool now); /* now: running requests are cut */
    void (*drain)(void *owner);
    /* NULL: it is not available.  An error leaves everything as it was; *why has the reason.
     * OK: the caller finishes *ret.  preview: nothing is changed. */
    enum err (*reload)(void *owner, bool preview, struct setting_changes *ret,
                       struct diag *why);
    const struct config *(*config)(void *owner);
    struct listeners *(*listeners)(void *owner); /* NULL: they are closed */
    struct addresses *(*addresses)(void *owner); /* NULL: there are none */
    /* Calls back for each address of the DNS server, and returns how many questions wait; NULL:
     * there is none. */
    size_t (*dns)(void *owner, void (*each)(void *to, const char *address), void *to);
    const char *(*state)(void *owner); /* "running", "draining" */
    void *owner;
};

/* All borrowed until control_close. */
struct control_parts {
    struct loop *loop;
    struct clusters *clusters;
    struct serve *serve;
    struct naming *naming;
    bool in_pod;
    struct control_orders orders;
};
