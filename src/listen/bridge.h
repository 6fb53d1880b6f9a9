/* listen/bridge.h - listeners at the addresses of bridges, for containers
 *
 * "docker" in --listen stands for the bridges that Docker and Podman make, "%NAME" for the
 * interface of that name.  A bridge may come and go: its listener is opened when it has an IPv4
 * address and closed when it has it no longer.  The socket is bound to the interface, so only
 * what arrives there reaches it.  Private to listen/.
 */
#pragma once

#include "config/config.h"

struct bridges;
struct listeners;

struct bridges *bridges_create(struct listeners *l);
void bridges_destroy(struct bridges *b); /* NULL accepted */
/* Those of the settings, of which nothing is borrowed; the others are closed. */
void bridges_configure(struct bridges *b, const struct listen_list *wanted);
