/* control/change.h - operations that change the running process
 *
 * Private to control/.
 */
#pragma once

#include "control/operation.h"

enum err change_stop(struct operation *op, struct answer *ret);
enum err change_drain(struct operation *op, struct answer *ret);
/* Exposed ports and aliases, until the process ends: the settings stay as they are. */
enum err change_expose(struct operation *op, struct answer *ret);
enum err change_unexpose(struct operation *op, struct answer *ret);
enum err change_add_alias(struct operation *op, struct answer *ret);
enum err change_remove_alias(struct operation *op, struct answer *ret);
/* Closes the listeners of services on a port. */
enum err change_release(struct operation *op, struct answer *ret);
enum err change_reload(struct operation *op, struct answer *ret);
/* What that would change. */
enum err change_preview(struct operation *op, struct answer *ret);
