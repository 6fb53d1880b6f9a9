/* cli/complete_names.h - names of the cluster for completion
 *
 * Services come from the running kube-tunnel, else from the API server itself.
 */
#pragma once

#include "cli/candidate.h"

void print_services(const struct typed_word *t);
void print_namespaces(const struct typed_word *t);
void print_contexts(const struct typed_word *t);
