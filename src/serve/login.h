/* serve/login.h - requests of browsers for a context that a person has to log in to
 *
 * Private to serve/.
 */
#pragma once

#include "serve/serve_state.h"

/* The request has a browser's marks, and would start an exec plugin that prompts at the
 * terminal: *why is a refusal that leads to our own page with a button for it. */
bool login_is_needed(const struct serve *s, const struct visitor *from,
                     const struct http1_head *request, const struct target *target,
                     struct refusal *why);
