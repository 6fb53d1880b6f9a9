/* exec/proxies.h - the proxy variables of a command
 *
 * http_proxy and its like send everything to one proxy except what no_proxy lists; none of them
 * can name what to send.  So they are set only to a kube-tunnel that passes on what is not in
 * the cluster, and only where the caller has set none.
 */
#pragma once

#include "base/texts.h"

/* Has the environment a proxy, in lower or upper case? */
bool proxies_are_set(void);

/* Names that must not go to the caller's own proxy, because they resolve to an address of this
 * machine: "no_proxy" and "NO_PROXY" get those that they do not have. */
void proxies_exclude(const struct texts *names);

/* Sets http_proxy, with https also https_proxy, in lower and upper case, and a no_proxy with
 * this machine's own names.  address: "127.0.0.1:8080".  all_proxy is not set: Python programs
 * without a SOCKS module fail with it, also for hosts on the Internet. */
void proxies_set(const char *address, bool https);
