/* control/change.h - operations that change the running process
 *
 * Private to control/.
 */
#pragma once

#include "control/operation.h"

enum err change_stop(struct operation *op, struct answer *ret);
enum err change_drain(struct operation *op, struct answer *ret);
enum err change_reload(struct operation *op, struct answer *ret);
