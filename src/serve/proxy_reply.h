/* serve/proxy_reply.h - the reply to a client that names its target before its first byte
 *
 * Pure: writes bytes.  (CONNECT is answered by an exchange.)
 */
#pragma once

#include "base/bufq.h"
#include "serve/refusal.h"

enum proxy_client { PROXY_NONE, PROXY_SOCKS4, PROXY_SOCKS5, PROXY_TLS };

/* There is a stream to a pod.  A client of TLS expects no reply. */
void proxy_accept(enum proxy_client client, struct bufq *out);
/* There is none.  SOCKS and TLS have no room for more than a code. */
void proxy_refuse(enum proxy_client client, enum cause cause, struct bufq *out);
