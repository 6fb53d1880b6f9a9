/* playground/pods/websocket.h - a WebSocket server that echoes every message */
#pragma once

#include "net/stream.h"
#include "wire/websocket.h"

/* Zeroed at the start of a connection. */
struct ws_echo {
    struct websocket_header head; /* of the frame whose payload is being echoed */
    uint64_t at, left;
    bool closing;
};

/* Echoes what was received; false: the connection was closed, in order or by an error. */
bool ws_echo_run(struct ws_echo *e, struct stream *s);
