/* upstream/reachability.h - to which pods and nodes direct connections have failed
 *
 * Private to upstream/.  A failed connection marks the pod as unreachable for REACHABILITY_MS
 * (a NetworkPolicy may drop packets to this pod only).  It also marks the pod's node, unless a
 * connection to another pod there succeeded in that time (the pod network may not be
 * reachable at all).  When the time is over the pod still counts as unreachable until a trial
 * succeeds: one connection that no request waits for.  reachability_trial_due returns true to
 * the caller that has to start it.
 *
 * Pure: times come from the caller.  Holds no endpoints.
 */
#pragma once

#include "base/map.h"
#include "catalog/catalog.h"

#define REACHABILITY_MS 60000

struct reachability {
    struct map pods;  /* endpoint key -> struct reach_state; only pods that failed */
    struct map nodes; /* node name -> struct reach_state */
};

void reachability_init(struct reachability *r);
void reachability_finish(struct reachability *r);

/* May a request be sent to the pod's address?  True where nothing is known. */
bool reachability_allows(const struct reachability *r, const struct endpoint *e);
/* Is a trial due?  Returning true starts the next REACHABILITY_MS, so that only one caller
 * gets true. */
bool reachability_trial_due(struct reachability *r, const struct endpoint *e,
                            uint64_t now);

void reachability_on_success(struct reachability *r, const struct endpoint *e,
                             uint64_t now);
/* `network`: no packet came back, so the whole node may be unreachable. */
void reachability_on_failure(struct reachability *r, const struct endpoint *e,
                             bool network, uint64_t now);
void reachability_forget(struct reachability *r, const char *pod_key);
