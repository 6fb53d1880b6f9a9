/* serve/serve.h - serve HTTP/1.1 clients
 *
 * One session per connection, one exchange per request in it.  An exchange reads the request,
 * checks whether it is allowed, leases a stream to a pod from upstream/ and carries the
 * request there and the response back, byte for byte where HTTP lets it.  A session owns its
 * client's stream.
 *
 * serve/session.c and serve/exchange.c open with the theory of operation.
 */
#pragma once

#include "config/config.h"
#include "net/peer.h"
#include "net/stream.h"
#include "serve/client_status.h"

struct access_log;
struct admin;
struct clusters;
struct exposed;
struct leaves;
struct naming;
struct outside_dialer;
struct observer;
struct otlp;
struct proxy_users;
struct serve;

/* Everything is borrowed and outlives the serve, but the config, of which it takes a
 * reference. */
struct serve *serve_create(struct sched *sched, struct chunk_pool *pool,
                           struct clusters *clusters, const struct config *config,
                           struct naming *naming, struct admin *admin);

/* No more clients than `max` are served, and `surplus` more get a page: by default
 * max-connections and a few. */
void serve_limit_clients(struct serve *s, size_t max, size_t surplus);
/* The limit on the memory of all bytes that wait; none by default (serve/pressure.h). */
void serve_limit_memory(struct serve *s, size_t max);
/* Let TLS of clients end here where a service has no TLS port; borrowed, and outlives the
 * serve. */
void serve_terminate_tls(struct serve *s, struct leaves *leaves);
/* In a pod "auto" of --body-timeout and --send-timeout is shorter. */
void serve_set_in_pod(struct serve *s, bool in_pod);
/* The users that CONNECT, SOCKS and absolute targets need; taken over.  NULL: none, and what
 * clients send is ignored. */
void serve_set_proxy_users(struct serve *s, struct proxy_users *users);
/* By what hosts outside the cluster are connected to (--proxy-outside); borrowed.  NULL, as
 * by default: not at all. */
void serve_set_outside(struct serve *s, struct outside_dialer *dialer);
/* While it is held, hosts outside are connected to as with --proxy-outside, at any port: a
 * command of the same user has its http_proxy set to this process. */
void serve_hold_outside(struct serve *s);
void serve_end_outside(struct serve *s);
/* Are they connected to for programs of the same user? */
bool serve_passes_on(const struct serve *s);
/* Close a connection for its descriptor, at once: a kept one to a pod, else the client's that
 * was idle for longest.  False: there is none. */
bool serve_free_descriptor(struct serve *s);
/* The same for a connection to this pod whose response is not read: the longest-stalled. */
bool serve_free_tunnel(struct serve *s, const char *pod_key);

/* The address a client came from, and the listener that accepted it. */
struct arrival {
    const char *address; /* its own, with or without a port ("127.0.0.1:5000"); copied */
    struct peer peer;
    uint16_t port;  /* the listener's */
    bool loopback;  /* only this machine can reach the listener */
    bool same_user; /* that runs this process, or root */
};

/* Borrowed; NULL: none. */
void serve_set_access_log(struct serve *s, struct access_log *l);
/* Where requests are traced to; borrowed.  NULL, as by default: they are not. */
void serve_set_traces(struct serve *s, struct otlp *o);
/* Other settings, of which a reference is taken: new requests and connections follow them at
 * once, and connections to namespaces that they close are reset.  The limits of
 * serve_limit_clients and serve_limit_memory are set apart. */
void serve_configure(struct serve *s, const struct config *config);
/* Resets the clients of this machine for which `allowed` returns false. */
void serve_close_clients(struct serve *s,
                         bool (*allowed)(void *owner, const struct peer *peer),
                         void *owner);

/* A client has connected; the stream is taken over, also when there are too many clients
 * (it gets a 503). */
void serve_accept(struct serve *s, struct stream *client, const struct arrival *from);
/* The same for one whose user may not connect: it gets a 403 that names the flag which allows
 * it ("--clients ..."), and nothing that it sends is read. */
void serve_refuse_user(struct serve *s, struct stream *client, const struct arrival *from,
                       const char *flag);

/* Sends a 503 and closes the stream, both at once: no descriptor is left for it. */
void serve_turn_away(struct serve *s, struct stream *client);

/* A client has connected to the listener of one service port: bytes are carried as they are, unless they are HTTP/1.  The stream is taken over, and a reference. */
void serve_accept_raw(struct serve *s, struct stream *client, const struct arrival *from,
                      struct exposed *exposed);

/* Idle sessions close at once, running exchanges respond with Connection: close, and what
 * is left after drain-timeout is reset.  *done wakes when no session is left, also when
 * there was none. */
void serve_drain(struct serve *s, struct task *done);
/* Calls back for each client. */
void serve_each_client(const struct serve *s,
                       void (*each)(void *owner, const struct client_status *),
                       void *owner);
/* Of the last minute, at most. */
struct serve_rate serve_recent(const struct serve *s);

/* Reports each request at its end; NULL: no longer.  Borrowed until the next call.  Requests
 * that run already are reported without copies. */
void serve_observe(struct serve *s, const struct observer *o);

/* Free what is kept for the next requests. */
void serve_trim(struct serve *s);
bool serve_idle(const struct serve *s); /* no session is left */
size_t serve_sessions(const struct serve *s);
/* Resets what is left, at once. NULL accepted. */
void serve_destroy(struct serve *s);
