/* upstream/pod_load.h - the requests of one pod, for status pages */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pod_load {
    const char *key;  /* struct endpoint's: "NS/POD/UID"; borrowed for the call */
    unsigned running; /* requests and raw connections at present */
    uint64_t
        requests; /* so far; begins again from 0 when the pod had none for some time */
    bool outlier; /* it refused connections, and is chosen last for half a minute */
};
