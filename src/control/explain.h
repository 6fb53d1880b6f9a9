/* control/explain.h - the operation explain: how a name leads to a pod
 *
 * Private to control/.
 */
#pragma once

#include "control/operation.h"

enum err explain_name(struct operation *op, struct answer *ret);
