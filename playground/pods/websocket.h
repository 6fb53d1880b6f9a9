/* playground/pods/websocket.h - a WebSocket that answers every message with itself */
#pragma once

#include "net/stream.h"
#include "wire/websocket.h"

/* Zeroed is the start. */
struct ws_echo {
    struct websocket_header head; /* of the frame whose payload is passing */
    uint64_t at, left;
    bool closing;
};

/* Echo what there is; false: closed, by agreement or by error. */
bool ws_echo_run(struct ws_echo *e, struct stream *s);
