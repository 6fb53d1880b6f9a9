/* bench/spdy/driver.h - pairs of bare tunnels, kept busy with the same request
 *
 * The floor of the chain behind kube-tunnel: API server, kubelet, runtime and pod answer
 * a client that does nothing but SPDY.  No client connections, no look-up, no brakes, no
 * safety: a refused request ends the run.
 */
#pragma once

#include "base/err.h"
#include "bench/load/plan.h"
#include "kube/target.h"

/* All borrowed. */
struct driver_goal {
    const struct kube_target *target;
    const char *ns, *pod;
    uint16_t port;
    size_t per_tunnel; /* pairs that share one; at least 1 */
};

/* Blocks until the plan is done, of which head, connections, settle_ns, duration_ns
 * and patience_ns count; the callbacks are those of run_plan (bench/load/run.h).
 *
 * OK     requests were answered for the whole time; anything but a 200 counts as failed
 * other  the tunnel did not come up, or did not stay; *why has the reason */
MUST_CHECK enum err
driver_run(const struct driver_goal *goal, const struct plan *p,
           void (*on_counting)(void),
           void (*on_counted)(const struct tally *t, uint64_t took_ns), struct diag *why);
