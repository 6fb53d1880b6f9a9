/* catalog/pod_check.h - does a pod still exist?
 *
 * One question to the API server: the pod is read by its name, and compared with the UID that
 * it should have.
 */
#pragma once

#include "kube/api.h"

/* The caller's struct, zeroed before its first use.  result is ERR_AGAIN until answered:
 *   OK             the pod exists
 *   ERR_NOT_FOUND  it does not, or another pod has its name
 *   other          the API server could not answer */
struct pod_check {
    enum err result;
    struct task *wake; /* private, like what follows */
    const char *uid;
    bool found;
    struct api_call call;
    struct task answered;
};

/* The texts are borrowed until the answer; uid "": any UID will do. */
void pod_check_start(struct pod_check *c, struct sched *sched, struct api *api,
                     const char *ns, const char *name, const char *uid,
                     struct task *wake);
void pod_check_finish(struct pod_check *c); /* cancels; idempotent; zeroed accepted */
