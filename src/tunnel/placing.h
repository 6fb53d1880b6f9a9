/* tunnel/placing.h - which of a pod's tunnels an opening gets
 *
 * Private to tunnel/.  Decided for each opening by what it wants itself, whatever others
 * that came before or after it want.  An opening that wants to be alone gets a tunnel that
 * carries one connection, while there may be more of those; it waits for the dial.  The
 * others take what there is, but leave such a tunnel to an opening that waits for it where
 * they have something else to wait for.  A small one takes whatever has a worker slot
 * free, also beside the only connection of a tunnel if that is small too, and the dials
 * for more happen meanwhile. The first one to a port that has not been heard of yet is
 * beside no other until its answer comes, where there may be more tunnels.
 */
#pragma once

#include "tunnel/pod_tunnels.h"

enum claim {
    CLAIM_SMALL,   /* any tunnel will do, and no dial is worth the wait */
    CLAIM_ANY,     /* a shared tunnel will do */
    CLAIM_PROVING, /* the first one to its port: beside no other */
    CLAIM_OWN,     /* it wants to be alone */
    CLAIM_DIALLED  /* ... and such a tunnel is being dialled for it */
};
#define CLAIMS 5

/* May there be more tunnels that carry one connection each, for an opening that wants to be
 * alone, or does not? */
bool placing_may_own_more(const struct pod_tunnels *p, bool alone);

/* own_dials: how many tunnels for one connection are being dialled, beside those that older
 * openings wait for. */
enum claim placing_claim(const struct pod_tunnels *p, const struct opening *o,
                         uint32_t own_dials);

/* NULL: it has to wait.  May make an empty shared tunnel one for a single connection, or one
 * that carries a small exchange shared. */
struct tunnel *placing_find(struct pod_tunnels *p, enum claim claim);
/* Would a small one to this port find one?  Changes nothing. */
bool placing_has_room(struct pod_tunnels *p, uint16_t port);
