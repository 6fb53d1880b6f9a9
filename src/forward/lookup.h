/* forward/lookup.h - from a target to one pod, by calls to the API server
 *
 * Gets the object and lists the pods that its selector matches, or gets the pod.  Watches
 * nothing and remembers nothing.
 */
#pragma once

#include "forward/candidate.h"
#include "forward/spec.h"
#include "kube/api.h"

/* The caller's struct, zeroed before its first use.  result is ERR_AGAIN until it is known:
 *   OK          `pod` is the best one; without pod.pod none matches
 *   ERR_CONFIG  the object leads to no pods
 *   other       of the call; `error` has the reason */
struct forward_lookup {
    enum err result;
    struct api_error error;
    struct candidate pod;
    json_t *service; /* a reference; NULL: the target is no Service */

    /* private */
    const struct forward_spec *spec;
    const char *ns, *current;
    struct api *api;
    struct api_call call;
    struct task answered;
    struct task *wake;
    char *selector;
    json_t *object;
    bool listing;
};

/* All borrowed until the result is known; current: the key of the present pod, or NULL. */
void forward_lookup_start(struct forward_lookup *l, struct sched *sched, struct api *api,
                          const struct forward_spec *spec, const char *ns,
                          const char *current, struct task *wake);
/* The label selector of the pods, after an OK; NULL: the target is one pod. */
const char *forward_lookup_selector(const struct forward_lookup *l);
void forward_lookup_finish(struct forward_lookup *l); /* cancels; idempotent */
