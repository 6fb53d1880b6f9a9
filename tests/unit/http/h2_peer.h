/* tests/unit/http/h2_peer.h - the far end of an HTTP/2 connection, a session of nghttp2
 *
 * What it receives is recorded as text: "[1] :status: 200\n", "[1] data 5\n", "[1]
 * end\n", "[1] closed 0\n", "goaway 11 last 3\n", "settings\n", "ping\n".
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "http/h2.h"

#define PEER_WINDOW 65536

struct peer {
    struct sched sched;
    struct chunk_pool pool;
    struct h2_settings settings;
    struct task wake; /* of the connection's owner */
    unsigned wakes;
    struct h2_connection *c;
    struct stream *near, *far; /* near: the connection's; far: the peer's */
    nghttp2_session *session;
    char log[1 << 20];
    size_t len;
    size_t data;      /* bytes of bodies that were received */
    size_t body_left; /* bytes of the body that are still to be sent */
    bool body_holds;  /* the body does not end after them */
    uint64_t now;
};

/* `server`: the connection under test is a server. */
void peer_start(struct peer *p, bool server);
void peer_finish(struct peer *p);
/* Exchanges frames and runs tasks until nothing changes. */
void peer_run(struct peer *p);
/* What was recorded since the last call. */
const char *peer_received(struct peer *p);
/* Sends these bytes, instead of the session's. */
void peer_send(struct peer *p, const void *bytes, size_t n);
/* A request with `body` bytes of body; hold: without its end.  Returns its id. */
int32_t peer_request(struct peer *p, const char *const *fields, size_t body, bool hold);
int32_t peer_get(struct peer *p, const char *path);
void peer_answer(struct peer *p, int32_t id, const char *const *fields, size_t body,
                 bool hold);
