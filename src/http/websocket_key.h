/* http/websocket_key.h - the key of a WebSocket's opening handshake in HTTP/1 (RFC 6455,
 * section 4), which HTTP/2 does without
 *
 * A key proves that a server has understood the handshake; it is no secret.
 */
#pragma once

#include "base/sched.h"
#include "base/str.h"

#define WEBSOCKET_KEY_LEN 24

/* A fresh key; terminated. */
void websocket_key(struct sched *sched, char ret[static WEBSOCKET_KEY_LEN + 1]);
/* What the server returns for it; owned by the caller. */
char *websocket_accept(struct str key);
