/* playground/ws_accept.h - the server's side of a WebSocket handshake */
#pragma once

#include "base/str.h"

/* The Sec-WebSocket-Accept for a Sec-WebSocket-Key; owned by the caller. */
char *ws_accept(struct str key);
