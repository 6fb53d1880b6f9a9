/* control/replay.h - the operation replay: send a request again
 *
 * Private to control/.
 */
#pragma once

#include "control/operation.h"

enum err replay_request(struct operation *op, struct answer *ret);
