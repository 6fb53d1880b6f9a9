/* upstream/reachability.h - where connecting to pods' addresses has failed
 *
 * Private to upstream/.  A failure is remembered for REACHABILITY_MS: of the pod (a
 * NetworkPolicy may drop what comes for it alone), and of its node where no connection to
 * another pod there succeeded in that time (the network of pods may not be reachable at all).
 * When the time is over the pod counts as unreachable still, until one connection that no
 * request waits for has been tried: reachability_probe_due is true once for it.
 *
 * Pure: times come from the caller.  Holds no endpoints.
 */
#pragma once

#include "base/map.h"
#include "catalog/catalog.h"

#define REACHABILITY_MS 60000

struct reachability {
    struct map pods;  /* by key, those that failed */
    struct map nodes; /* by name */
};

void reachability_init(struct reachability *r);
void reachability_finish(struct reachability *r);

/* May a request be sent to its address?  True where nothing is known. */
bool reachability_allows(const struct reachability *r, const struct endpoint *e);
/* Is it to be tried again beside a request?  Starts the next time at once, so that one
 * caller gets true. */
bool reachability_probe_due(struct reachability *r, const struct endpoint *e,
                            uint64_t now);

void reachability_on_success(struct reachability *r, const struct endpoint *e,
                             uint64_t now);
/* `network`: no answer came, so the node may be the reason, too. */
void reachability_on_failure(struct reachability *r, const struct endpoint *e,
                             bool network, uint64_t now);
void reachability_forget(struct reachability *r, const char *pod_key);
