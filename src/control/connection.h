/* control/connection.h - one connection to the control socket: a request, then its answer
 *
 * Private to control/.
 */
#pragma once

#include "base/list.h"

struct control;
struct stream;

void connection_open(struct control *c, struct stream *client);
/* Ends all of them at once, memory included. */
void connections_destroy(struct control *c);
