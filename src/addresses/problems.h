/* addresses/problems.h - ports that could not be opened, and why
 *
 * One for each port, cause and socket that has it (at one address, or at all), until the port is opened or was not tried for a while; at most
 * PROBLEMS_MAX.  Each is logged when it appears.  Private to addresses/.
 */
#pragma once

#include <netinet/in.h>
#include <stdint.h>

#include "base/err.h"

#define PROBLEMS_MAX 64
#define PROBLEM_NAME_MS 10000

struct problem {
    uint16_t port;
    enum err
        error; /* ERR_ACCESS, ERR_IN_USE, ERR_FORBIDDEN, ERR_NO_FILES, ERR_LIMIT, ... */
    in_addr_t
        address; /* where the socket listens that has the port; 0: at all, or there is none */
    uint64_t seen_at;  /* sched ms, the last time */
    uint64_t named_at; /* when the program was last looked for */
    struct diag why;
};

struct problems {
    struct problem *at;
    size_t count;
};

/* For ERR_IN_USE the program at that address is looked for, at most each PROBLEM_NAME_MS. */
void problems_note(struct problems *p, const struct problem *found, struct in_addr at);
void problems_end(struct problems *p, uint16_t port,
                  struct in_addr at); /* it was opened */
void problems_expire(struct problems *p, uint64_t before);
void problems_finish(struct problems *p);
