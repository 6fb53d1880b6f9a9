/* kube/api_state.h - the state that calls and watches of one API server share
 *
 * Private to kube/.
 */
#pragma once

#include "kube/api_error.h"
#include "kube/credentials.h"
#include "kube/limits.h"
#include "net/transfer.h"

struct api {
    struct loop *loop;
    struct transfers *transfers;
    struct kube_target *target;
    struct credentials *credentials;
    uint16_t cluster; /* its number, for the log */
    bool unreachable; /* the outage was logged; a watch will log its end */
    struct api_limits limits;
    struct call_rate rate;
    struct list_node waiting; /* struct request: delayed by `rate`, oldest first */
    struct timer turn;        /* fires when the next of them may be sent */
};
