/* serve/forwarded.h - the value of a Forwarded field (RFC 7239) for a request
 *
 * Pure.
 */
#pragma once

#include "serve/target.h"

#define FORWARDED_ROOM 512

/* `client` is its address.  The host is left out where it does not fit. */
struct str forwarded_value(const struct http1_head *head, const struct target *target,
                           const char *client, char room[FORWARDED_ROOM]);
