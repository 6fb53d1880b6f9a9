/* tunnel/placing.h - which of a pod's tunnels an opening gets
 *
 * Private to tunnel/.  Decided for each opening by what it wants itself, whatever others that
 * came before or after it want.  An opening that wants to be alone gets a tunnel that carries
 * one connection, while there may be more of those; it waits for the dial.  The others take
 * what there is, but leave such a tunnel to an opening that waits for it where they have
 * something else to wait for.
 */
#pragma once

#include "tunnel/pod.h"

enum claim {
    CLAIM_ANY,    /* a shared tunnel will do */
    CLAIM_OWN,    /* it wants to be alone */
    CLAIM_DIALLED /* ... and such a tunnel is being dialled for it */
};
#define CLAIMS 3

/* own_dials: how many tunnels for one connection are being dialled, beside those that older
 * openings wait for. */
enum claim placing_claim(const struct opening *o, uint32_t own_dials);

/* NULL: it has to wait.  May make an empty shared tunnel one for a single connection. */
struct tunnel *placing_find(struct pod *p, enum claim claim);
