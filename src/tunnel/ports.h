/* tunnel/ports.h - which ports of a pod have accepted a connection so far
 *
 * Private to tunnel/.  There is no signal that a connection was accepted: a port counts as
 * proven once it has sent a byte.  A refused connection may cost its worker slot for good,
 * so the first connection to a port that is not known shares its tunnel with no other, until
 * it is answered.  A few ports are remembered; one that is forgotten is proven again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PORTS_MAX 8

struct ports {
    struct port_known {
        uint16_t port; /* 0: unused */
        bool proven;
    } known[PORTS_MAX];
    uint32_t next; /* to be overwritten */
};

/* Was it proven, or is another connection about to prove it? */
bool ports_know(const struct ports *p, uint16_t port);

void ports_on_connect(struct ports *p, uint16_t port);
void ports_on_answer(struct ports *p, uint16_t port);
void ports_on_refusal(struct ports *p,
                      uint16_t port); /* of a connection without answer */
