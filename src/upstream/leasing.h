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

#include "upstream/leasing_state.h"

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
