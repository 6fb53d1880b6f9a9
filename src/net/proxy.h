/* net/proxy.h - which proxy a connection goes through
 *
 * curl would read the environment itself, but it chooses the variable by the URL's
 * scheme, and the URL of a tunnel is always http://.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* For curl's CURLOPT_PROXY: `configured` unless it is NULL, else HTTPS_PROXY (HTTP_PROXY
 * without tls) or ALL_PROXY from the environment, upper or lower case, unless NO_PROXY
 * names the host or it is a loopback address.  "" means none.  socks5:// becomes
 * socks5h://: the proxy looks names up, as with every Kubernetes client.  host without
 * brackets.  Owned by the caller. */
char *proxy_choose(const char *configured, bool tls, const char *host, uint16_t port);

/* Does a NO_PROXY list ("a.b,.c.d,10.0.0.0/8,[::1]:443,*") name this host? */
bool proxy_excludes(const char *list, const char *host, uint16_t port);
