/* upstream/leasing_state.h - what a lease knows while it is made (upstream/leasing.h) */
#pragma once

#include "http/h1.h"
#include "upstream/allowed.h"
#include "upstream/choosing.h"
#include "upstream/missing.h"
#include "upstream/search.h"
#include "upstream/securing.h"
#include "upstream/waiters.h"

/* The parts of an upstream that its leases work with. */
struct leasing_parts {
    struct choosing choosing;
    struct catalog *catalog;
    struct allowed allowed;
    struct missing missing;
    struct waiters waiters;
    struct tls_ports *tls_ports;
    struct upstream_settings settings;
    char *found_zone; /* or NULL */
};

enum lease_state {
    LEASE_LOOKUP,
    LEASE_OPENING,
    LEASE_SECURING,
    LEASE_PARKED,
    LEASE_HELD,
    LEASE_FAILED,
};

struct leasing {
    struct list_node node; /* in the upstream's list of leases */
    struct upstream *owner;
    struct leasing_parts *parts;
    struct lease *lease;
    struct want want;
    enum lease_state state;
    struct task step;
    struct task *wake; /* of the lease's user */
    struct timer late; /* fires when the wait is over */
    struct timer retry;
    struct search search;
    struct opening opening;
    struct h1_client h1; /* on an HTTP/1 connection, which carries this request only */
    struct h2_waiter sharing; /* while another request opens a connection for both */
    bool opens_shared;        /* the opening is for an HTTP/2 connection */
    bool joined;              /* ... that another request opens */
    bool opened_directly;     /* the connection was opened by the direct connector */
    struct securing securing;
    struct pooled secured;   /* in LEASE_SECURING: what carries securing.stream */
    struct waiter waiter;    /* in LEASE_OPENING: it may get an idle connection instead */
    struct endpoint *avoid;  /* a reference: it failed, and is chosen last; or NULL */
    struct endpoint *second; /* as in struct chosen, like `prewarm` */
    bool prewarm;
    uint64_t held_at;    /* sched ms */
    uint64_t idle_ms;    /* how long its connection had been idle; 0: it was new */
    char *plugin_output; /* owned; lease->plugin_output points to it */
    enum err reason;     /* why it was parked last */
    unsigned failures;   /* openings that failed since it was parked */
    bool parked_once;
    bool extended; /* the wait was over, but it got more time, since dials progress */
};

/* Which ExternalNames and addresses may be followed. */
struct external_rules leasing_rules(const struct leasing_parts *p);
