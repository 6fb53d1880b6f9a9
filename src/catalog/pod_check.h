/* catalog/pod_check.h - does a pod still exist?
 *
 * Reads the pod by its name from the API server, and compares its UID with the expected one.
 */
#pragma once

#include "kube/api.h"

/* The caller's struct, zeroed before its first use.  result is ERR_AGAIN until it is known:
 *   OK             the pod exists
 *   ERR_NOT_FOUND  it does not, or another pod has its name
 *   other          the call has failed */
struct pod_check {
    enum err result;
    struct task *wake; /* private, like what follows */
    const char *uid;
    bool found;
    struct api_call call;
    struct task answered;
};

/* The texts are borrowed until the result is known; uid "": any UID is accepted. */
void pod_check_start(struct pod_check *c, struct sched *sched, struct api *api,
                     const char *ns, const char *name, const char *uid,
                     struct task *wake);
void pod_check_finish(struct pod_check *c); /* cancels; idempotent; zeroed accepted */
