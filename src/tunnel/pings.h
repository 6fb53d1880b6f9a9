/* tunnel/pings.h - the PINGs that one tunnel sends
 *
 * Private to tunnel/.  Liveness, the probe and the credit of a shared tunnel send PINGs on the
 * same SPDY connection.  This module numbers them and counts the unanswered ones.
 */
#pragma once

#include <stdbool.h>

#include "net/stream.h"
#include "tunnel/credit.h"

struct pings {
    struct stream *transport; /* borrowed */
    struct credit *credit;    /* of a shared tunnel: records each PING; else NULL */
    uint32_t next;            /* id of the next PING */
    uint32_t unanswered;
};

void pings_init(struct pings *p);
/* False: the transport has no room. */
bool pings_send(struct pings *p, uint32_t *ret_id);
/* One for each worker, or none; *ret_first is the first id. */
bool pings_send_round(struct pings *p, uint32_t *ret_first);
void pings_on_pong(struct pings *p, uint32_t id);
