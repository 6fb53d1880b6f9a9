/* upstream/leasing.h - the state machine of one lease: look up, choose, open, or wait
 *
 *            ┌────────────── a change, or the retry timer ──────────────┐
 *            ▼                                                          │
 *   LOOKUP ──▶ choose an endpoint ──▶ idle connection? ─yes─▶ HELD      │
 *     │                                    no                           │
 *     │                                    ▼                            │
 *     │                                 OPENING ──▶ (SECURING) ──▶ HELD │
 *     │ not now                            │ not now                    │
 *     └──────────────▶ PARKED ◀────────────┘ ───────────────────────────┘
 *
 * Private to upstream/.  A lease in the steady state passes through LOOKUP to HELD inside
 * leasing_start: the catalog has the service, and there is an idle connection or a tunnel
 * with room.
 *
 * Whether a failure is final is decided here only.  Final: the service does not exist, a
 * right is missing, the port is not declared, there is no pod at all.  Not now: no endpoint
 * is ready but one is expected, or the API server cannot be reached, is overloaded or fails.
 * "Not now" parks the lease: it looks up again when its service changes and every RETRY_MS.
 * At want.wait_until it fails for the last reason.
 *
 * SECURING is the TLS handshake on a connection that was opened to a service port that speaks
 * TLS (upstream/tls_ports.h); settings.attempt_ms is its deadline.
 *
 * One struct leasing per lease, from a free list.  It owns the look-up, the opening and the
 * references to endpoints; the user of the lease sees struct lease only.
 */
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

void leasing_register_metrics(void);

struct leasing *leasing_create(struct upstream *owner, struct leasing_parts *parts);
void leasing_destroy(struct leasing *l); /* after leasing_reset; NULL accepted */

/* Begin.  The outcome may be known when it returns; otherwise `wake` is woken. */
void leasing_start(struct leasing *l, const struct want *want, struct lease *lease,
                   struct task *wake);
/* Finish the lease with this connection, which has become idle, instead of its opening. */
void leasing_take(struct leasing *l, struct stream *s, struct log_id via);
/* Fail with ERR_CANCELLED, unless it has its result. */
void leasing_cancel(struct leasing *l);
/* Cancel everything and drop the references: it may be started again, or destroyed. */
void leasing_reset(struct leasing *l);
