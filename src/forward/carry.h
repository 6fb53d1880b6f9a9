/* forward/carry.h - a client's connection to a port of a target
 *
 * Private to forward/.  Waits for a pod, opens a connection to it and carries the bytes both
 * ways.  Until a byte came from the pod what the client has sent is kept, and sent to another
 * pod if the first one turns out to be gone (as in serve/raw.c).
 */
#pragma once

#include <stddef.h>

struct stream;
struct target;

/* Takes the stream over; port: index of the spec's ports. */
void carry_open(struct target *t, size_t port, struct stream *client);
