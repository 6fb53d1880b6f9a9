/* control/show.h - operations that only read
 *
 * Private to control/.
 */
#pragma once

#include "control/operation.h"

enum err show_version(struct operation *op, struct answer *ret);
enum err show_status(struct operation *op, struct answer *ret);
enum err show_services(struct operation *op, struct answer *ret);
