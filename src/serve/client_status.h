/* serve/client_status.h - a client and the load, as status pages show them */
#pragma once

#include "base/log.h"

/* One client at this moment, for status pages; the texts are borrowed for the call. */
struct client_status {
    struct log_id id;
    const char *address;  /* without a port */
    const char *protocol; /* "http", "http2", "raw"; NULL: not known yet */
    const char *state;    /* of its session or raw connection */
    uint16_t listener;    /* the port of the listener that accepted it */
    uint64_t requests;    /* so far; 0 of raw connections */
    uint64_t running;     /* requests that run now */
    const char *ns, *pod; /* that it has a connection to; NULL: none */
    struct str host;      /* of an exposed port: the service; else empty */
};

/* Requests and failures (5xx) in the last minute, at most. */
struct serve_rate {
    uint64_t requests, failures, ms; /* in so many ms */
};
