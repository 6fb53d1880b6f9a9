/* serve/explain.h - make the text of a refusal
 *
 * The first line has the original kube-tunnel's words, because people and scripts look for
 * them.  Pure.
 */
#pragma once

#include "serve/explanation.h"
#include "serve/refusal.h"

/* `context` is the cluster's name where there are several, for the hint to mention; else
 * NULL. */
void explain(const struct refusal *r, const char *context, struct explanation *ret);
