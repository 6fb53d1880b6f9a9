/* cluster/label.h - a context's name as one label of DNS names
 *
 * The rule, in this order (docs/kube-tunnel.1 has it for users):
 *   - "arn:...:cluster/NAME" and other ARNs: what follows the last "/" or ":"
 *   - "gke_PROJECT_ZONE_NAME": what follows the last "_"
 *   - upper case becomes lower case
 *   - each run of other characters than a-z, 0-9 and "-" becomes one "-"
 *   - no "-" at the ends; at most 63 characters; "context" where nothing is left
 * Two contexts may come to the same label, and some labels mean something else in names: then
 * the label gets a number.  Pure.
 */
#pragma once

#include "base/str.h"

#define LABEL_ROOM 64

void label_of_context(struct str context, char ret[static LABEL_ROOM]);

/* "prod" and 2: "prod-2"; what does not fit is cut from the label. */
void label_with_number(const char *label, unsigned number, char ret[static LABEL_ROOM]);

/* It has another meaning where a cluster's label would stand: svc, pod, deploy, localhost,
 * k8s, and the last label of the cluster's domain. */
bool label_is_reserved(struct str label, struct str zone);
