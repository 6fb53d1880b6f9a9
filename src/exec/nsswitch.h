/* exec/nsswitch.h - nsswitch.conf with the hosts file first
 *
 * Pure.  systemd's "resolve [!UNAVAIL=return]" and "mdns4_minimal [NOTFOUND=return]" end a
 * look-up before the hosts file, or DNS, is asked.
 */
#pragma once

#include "base/str.h"

/* The text with its rule for hosts changed: "files" is first and without conditions, the
 * conditions of mdns*_minimal are left out, the rest is as it was.  Without a rule it gets
 * "hosts: files dns".  Owned by the caller. */
char *nsswitch_derive(struct str text);
