/* serve/explain_tls.h - make the text of a refusal that TLS with a service has caused */
#pragma once

#include "serve/explanation.h"
#include "serve/refusal.h"

/* The causes TLS_*. */
void explain_tls(const struct refusal *r, struct explanation *ret);
