/* control/show.h - operations that only read
 *
 * Private to control/.
 */
#pragma once

#include "control/operation.h"

enum err show_version(struct operation *op, struct answer *ret);
enum err show_status(struct operation *op, struct answer *ret);
enum err show_addresses(struct operation *op, struct answer *ret);
/* The same as JSON, for the status. */
json_t *addresses_json(const struct control *c);
enum err show_services(struct operation *op, struct answer *ret);
