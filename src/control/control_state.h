/* control/control_state.h - the body of struct control; private to control/ */
#pragma once

#include <time.h>

#include "base/list.h"
#include "base/sched.h"
#include "control/claim.h"
#include "control/history.h"
#include "control/parts.h"
#include "serve/observer.h"

struct listener;

struct control {
    struct control_parts parts;
    struct sched *sched;
    time_t started; /* real time */
    char *name;     /* of this kube-tunnel; NULL: it does not listen */
    struct claim claim;
    struct listener *listener;    /* owns the claim's socket */
    struct list_node connections; /* struct connection */
    size_t count;

    struct list_node readers; /* struct reader */
    struct observer observer; /* of the serve, while there is a reader */
    struct json_out line;     /* scratch: of one event */
    struct timer flush_later;
    uint64_t wall_ahead_ms; /* of sched->now: ms since 1970 */
    struct history history;
};
