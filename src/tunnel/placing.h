/* tunnel/placing.h - which of a pod's tunnels an opening gets
 *
 * Private to tunnel/.  The rules:
 * - An opening that wants to be alone gets an own tunnel, or waits for its dial, up to
 *   own_max own tunnels; beyond that it gets a shared one.
 * - Other openings get any tunnel with room.  They leave own tunnels to openings that want to
 *   be alone and wait, if a shared tunnel is being dialled or may be.
 * - A small opening gets any free worker slot, also on an own tunnel whose only pair is
 *   small, while further tunnels are dialled.
 * - The first opening to a port that is not known yet gets a tunnel without other pairs, until
 *   the pod sends a byte, if there may be more tunnels.
 */
#pragma once

#include "tunnel/pod_tunnels.h"

enum claim {
    CLAIM_SMALL,   /* any free worker slot, without waiting for a dial */
    CLAIM_ANY,     /* an own or a shared tunnel */
    CLAIM_PROVING, /* a tunnel without other pairs: the first opening to its port */
    CLAIM_OWN,     /* an own tunnel: it wants to be alone */
    CLAIM_DIALLED  /* the same, and such a tunnel is being dialled for it */
};
#define CLAIMS 5

/* May there be more own tunnels?  The limit for openings that want to be alone is own_max. */
bool placing_may_own_more(const struct pod_tunnels *p, bool alone);

/* What this opening may get.  own_dials: how many own tunnels are being dialled, without those
 * that older openings wait for. */
enum claim placing_claim(const struct pod_tunnels *p, const struct opening *o,
                         uint32_t own_dials);

/* The tunnel for an opening with this claim; NULL: it has to wait.  May convert an empty shared
 * tunnel to an own one, or an own tunnel with a small exchange to a shared one. */
struct tunnel *placing_find(struct pod_tunnels *p, enum claim claim);
/* Would a small opening to this port get a tunnel?  Changes nothing. */
bool placing_has_room(struct pod_tunnels *p, uint16_t port);
