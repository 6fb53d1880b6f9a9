/* addresses/problems.h - ports that could not be opened, and why
 *
 * One for each port and cause, until the port is opened or was not tried for a while; at most
 * PROBLEMS_MAX.  Each is logged when it appears.  Private to addresses/.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

#define PROBLEMS_MAX 64

struct problem {
    uint16_t port;
    enum err
        error; /* ERR_ACCESS, ERR_IN_USE, ERR_FORBIDDEN, ERR_NO_FILES, ERR_LIMIT, ... */
    uint64_t seen_at; /* sched ms, the last time */
    struct diag why;
};

struct problems {
    struct problem *at;
    size_t count;
};

void problems_note(struct problems *p, uint64_t now, uint16_t port, enum err error,
                   const struct diag *why);
void problems_end(struct problems *p, uint16_t port); /* it was opened */
void problems_expire(struct problems *p, uint64_t before);
void problems_finish(struct problems *p);
