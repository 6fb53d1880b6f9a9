/* serve/login.h - requests of browsers for a context that a person has to log in to */
#pragma once

#include "serve/exchange.h"

/* The request has a browser's marks, and would make an exec plugin ask at the terminal: *why
 * leads to our own page that has a button for it. */
bool login_is_needed(const struct exchange *x, struct refusal *why);
