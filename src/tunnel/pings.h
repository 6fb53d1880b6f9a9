/* tunnel/pings.h - the PINGs that one tunnel sends
 *
 * Private to tunnel/.  Three parts send PINGs on the same connection: liveness, the probe and
 * the credit of a shared tunnel.  Here they get their ids, and the unanswered ones are
 * counted.
 */
#pragma once

#include <stdbool.h>

#include "net/stream.h"
#include "tunnel/credit.h"

struct pings {
    struct stream *transport; /* borrowed */
    struct credit *credit;    /* of a shared tunnel: records each PING; else NULL */
    uint32_t next;            /* id */
    uint32_t unanswered;
};

void pings_init(struct pings *p);
/* False: the transport has no room. */
bool pings_send(struct pings *p, uint32_t *ret_id);
/* One for each worker, or none; *ret_first is the first id. */
bool pings_send_round(struct pings *p, uint32_t *ret_first);
void pings_on_pong(struct pings *p, uint32_t id);
