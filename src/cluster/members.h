/* cluster/members.h - contexts become members of the table
 *
 * Private to cluster/.
 */
#pragma once

#include "cluster/table.h"

/* A new member; NULL: there are as many as there may be. */
struct member *clusters_add(struct clusters *cs, const char *name);
/* Those of the kubeconfig that were chosen and are no members yet. */
void clusters_add_all(struct clusters *cs);
