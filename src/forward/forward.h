/* forward/forward.h - local ports that lead to pods, as those of kubectl port-forward
 *
 * Each target has one pod at a time, as with kubectl, and another one when that has gone.  The
 * ports are opened when every target has a pod and a tunnel to it; if one of them has none, the
 * start has failed, as kubectl's.  From then on it goes on until it is closed: connections wait
 * for a pod, and what happens is reported in sentences.
 *
 * Bytes are carried as they come.  Only the objects that the targets name are read, and pods.
 */
#pragma once

#include "forward/parts.h"

struct forward;

struct forward *forward_open(const struct forward_parts *parts);
/* The machine slept or its network changed: see tunnels_check. */
void forward_check(struct forward *f, const char *why);
/* Have the ports been opened? */
bool forward_is_listening(const struct forward *f);
void forward_close(struct forward *f); /* NULL accepted; resets connections */
