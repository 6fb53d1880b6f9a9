/* tests/session/tunnel_rig.h - tunnels whose API server is a script
 *
 * The real tunnel/, on a clock that the test moves and on streams in memory: the rig
 * takes the place of net/connecting.h, tcp_open and kube/api.h.  Each dial gets a struct
 * server, the far end of its transport, which reads all frames, checks invariants of what
 * a client sends, records them, and answers only as scripted.
 *
 * The invariants that are checked for every frame, in every test: pairs are two
 * SYN_STREAMs in a row with ids (a, a + 10) that only rise; a data stream gets nothing
 * after its client's FIN, and nothing after the turn in which the server's FIN was read;
 * PINGs are odd.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/connecting.h"
#include "tunnel/tunnel.h"
#include "tunnel/tunnels.h"
#include "wire/spdy.h"
#include "playground/forward/spdy_headers.h"
#include "playground/forward/spdy_server.h"

#define TRANSPORT_LIMIT (64 * 1024)

struct seen {
    enum spdy_type type;
    uint32_t id;
    uint8_t flags;
    uint32_t length;
    unsigned write; /* the number of the transport's write that contained it */
};

struct wire_pair {
    uint32_t error_id, data_id;
    uint16_t port;
    bool client_fin;
    unsigned server_fin; /* turn in which it was sent; 0: not yet */
    struct bufq got;
};

struct server {
    struct connecting *dial; /* NULL: answered or given up */
    struct stream *end;      /* NULL: not connected, or ended by the test */
    struct task wake;
    char request[2048];
    size_t request_len;
    bool switched;
    bool silent;    /* answer no PING */
    unsigned stuck; /* ... of these workers: a bit mask by slot */
    bool blind;     /* the client is not reading, so it may not have the server's FINs */
    unsigned writes;
    struct seen seen[8192];
    size_t seen_count;
    struct wire_pair pairs[128];
    size_t pair_count;
    uint32_t pings[4096];
    size_t ping_count, pong_count;
    struct spdy_inflater *inflater;
};

struct rig {
    struct loop *loop;
    struct sched *sched;
    struct tunnel_settings settings;
    struct tunnels *tunnels;
    struct server *servers[64]; /* by dial */
    enum err credentials;       /* the result of requesting a credential */
    struct task *waiting;       /* the last task that waits for one */
    bool renewable;             /* after a 401 there may be another credential */
    uint64_t generation;
    size_t dials;
    unsigned turn;
    /* what the kernel reports for every transport (tcp_is_unanswered) */
    bool unanswered;
    struct api_call *pending; /* the call to the API server that is pending */
    char pending_path[128];
};
extern struct rig rig;

/* Answer the pending look-up with a pod of this UID; NULL: there is none. */
void rig_answer_pod(const char *uid);

/* The tunnel that carries this stream; NULL: it is closed. */
struct tunnel *rig_tunnel_of(const struct stream *s);

/* The user of one connection. */
struct user {
    struct opening opening;
    struct task wake;
    unsigned wakes;
};

int rig_begin(void **state);
int rig_end(void **state); /* asserts that all is released */
void rig_run(void);
void rig_advance(uint64_t ms);      /* stopping at every timer on the way */
void rig_stop_process(uint64_t ms); /* the process is stopped for `ms`, then continues */

void user_open(struct user *u, const char *uid, uint16_t port);
void user_open_alone(struct user *u, const char *uid, uint16_t port);
void user_open_small(struct user *u, const char *uid, uint16_t port);
struct stream *user_stream(struct user *u); /* the opening must have succeeded */
void user_write(struct user *u, const void *bytes, size_t n);
void user_expect(struct user *u, const void *bytes, size_t n);
void user_finish(struct user *u);                    /* closes what is still open */
void users_finish(struct user *users, size_t count); /* those that were opened */

/* The dial with this number. */
struct server *server_connect(size_t dial);
void server_refuse(size_t dial, enum err e, const char *why);
void server_send(struct server *s, const void *bytes, size_t n);
void server_switch(struct server *s); /* 101 */
/* Every dial so far, and those that follow from them, succeeds. */
void server_connect_all(void);
/* Open, connect and switch: a user on a tunnel of their own. */
struct server *rig_warm(struct user *u);

void server_data(struct server *s, uint32_t id, const void *bytes, size_t n,
                 uint8_t flags);
void server_fin(struct server *s, size_t pair, bool error_stream);
void server_text(struct server *s, size_t pair, const char *text);
void server_rst(struct server *s, uint32_t id);
void server_pong(struct server *s, size_t ping);
/* answers this PING and all later ones */
void server_pong_from(struct server *s, size_t ping);
void server_goaway(struct server *s);
void server_end(struct server *s);   /* an orderly end of the transport */
void server_break(struct server *s); /* a reset of the transport */
/* Ends a pair in order: FIN on both streams, without an error text. */
void server_finish_pair(struct server *s, size_t pair);
size_t server_count(const struct server *s, enum spdy_type type);
