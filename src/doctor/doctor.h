/* doctor/doctor.h - find out what keeps kube-tunnel from working, and what to do about it
 *
 * Runs a table of checks (doctor/checks.h) on this machine and against the API server, those
 * that do not depend on one another at the same time, each with a deadline.  Needs no running
 * kube-tunnel.  No check leaves anything behind: ports are bound for a moment only, nothing
 * is written, and the tunnel to a pod is closed without a byte having been sent in it.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct config;

enum finding_status {
    FINDING_PENDING, /* not known yet */
    FINDING_OK,
    FINDING_WARNING, /* it works, but perhaps not for long or not for all */
    FINDING_FAILED,
    FINDING_SKIPPED, /* it depends on one that failed */
};

#define FINDING_TEXT 640

struct finding {
    const char *name; /* of the check: "kubeconfig" */
    enum finding_status status;
    char text[FINDING_TEXT]; /* what was found; printable */
    char fix[FINDING_TEXT];  /* what to do; "" where nothing is wrong; may have lines */
    uint64_t ms;             /* how long it took */
};

struct doctor_question {
    const struct config *config; /* NULL: it cannot be loaded, for `why` */
    struct diag why;
    /* a service to open the tunnel to; empty: any */
    struct str service, ns;
};

/* Returns the findings in the order of the table; *ret_count is how many.  Owned by the
 * caller. */
struct finding *doctor_run(const struct doctor_question *q, size_t *ret_count);
/* Has one failed? */
bool doctor_found_failure(const struct finding *findings, size_t count);
