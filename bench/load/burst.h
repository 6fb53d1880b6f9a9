/* bench/load/burst.h - how long a burst of new connections takes until all of it works
 *
 * As many clients as a browser, a test suite or a pool of database connections opens at
 * once: each connects, sends one byte and waits for it to come back; none is closed
 * before the last one has its byte.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "bench/load/plan.h"

/* `times` bursts of `count` connections, with the plan's settle_ns between them; the plan
 * gives the address and, as patience_ns, the limit of one burst.  Blocks.
 *
 * OK           ret_ns[i] is the time from the first connect() to the last echo
 * ERR_TIMEOUT  one of them was not complete within the limit
 * ERR_RESET    a connection was refused, reset, closed, or echoed another byte
 * ERR_IO       no socket */
MUST_CHECK enum err burst_run(const struct plan *p, size_t count, size_t times,
                              uint64_t *ret_ns);
