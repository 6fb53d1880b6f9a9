/* tunnel/ports.h - which ports of a pod are proven: a process listens there
 *
 * Private to tunnel/.  The runtime does not report that a connection was accepted, so a port
 * counts as proven once the pod has sent a byte on a connection to it.  A refused connection
 * may block its worker for ever, so the first connection to an unknown port shares its tunnel
 * with no other until the pod sends a byte.  PORTS_MAX ports are remembered; one that was
 * forgotten has to be proven again.
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
    uint32_t next; /* index of the entry to overwrite next */
};

/* Is the port proven, or is the first connection to it still open? */
bool ports_know(const struct ports *p, uint16_t port);

void ports_on_connect(struct ports *p, uint16_t port);
void ports_on_answer(struct ports *p, uint16_t port);
void ports_on_refusal(struct ports *p,
                      uint16_t port); /* of a connection without answer */
