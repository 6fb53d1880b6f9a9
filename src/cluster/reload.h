/* cluster/reload.h - follow changes of the kubeconfig
 *
 * Private to cluster/.
 */
#pragma once

#include "cluster/table.h"

void reload_init(struct clusters *cs);
void reload_start(struct clusters *cs);
void reload_stop(struct clusters *cs);
