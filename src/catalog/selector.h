/* catalog/selector.h - which pods belong to a workload, as labelSelector of a query
 *
 * Both return a text that is owned by the caller, or NULL: the selector is invalid, or empty,
 * which would match every pod.  No label of it can change the query.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* Of a Service or a ReplicationController: {"app": "web"}. */
char *selector_of_labels(const json_t *labels);
/* Of the others: {"matchLabels": {...}, "matchExpressions": [...]}. */
char *selector_of_rules(const json_t *selector);
