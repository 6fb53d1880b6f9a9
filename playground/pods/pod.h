/* playground/pods/pod.h - the servers behind the Pod objects
 *
 * A pod here is a name, a sandbox and a few ports with behaviour (see ports[] in pod.c).
 * Connections to it exist only as pairs of streams: HTTP ports in memory, because they
 * are what benchmarks run against; the others on real sockets, because how kernels buffer
 * and reset is what they are for.  Ports of an app can be mapped to a server outside.
 */
#pragma once

#include <jansson.h>

#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"
#include "net/loop.h"
#include "net/stream.h"

struct pods;
struct store;

#define SANDBOX_SIZE 65 /* 64 hexadecimal digits */

struct pod {
    struct list_node node;
    char *ns, *name, *uid, *app;
    char sandbox[SANDBOX_SIZE];
    char netns[64]; /* the path of its network namespace, for error texts */
    struct list_node connections;
};

/* One connection, seen from the pod; embedded in what serves it. */
struct pod_connection {
    struct list_node node;
    struct pod *pod;
    struct stream *stream; /* owned */
    struct task work;      /* the stream's wake */
    void (*destroy)(struct pod_connection *);
};

struct pods *pods_create(struct loop *l);
void pods_destroy(struct pods *p); /* NULL accepted */

/* Connections to this port of pods of this app go to that address instead. */
void pods_map(struct pods *p, struct str app, uint16_t port,
              const struct sockaddr *address, socklen_t len);

/* Start what the store's running pods need, stop (FIN) what is no longer there. */
void pods_sync(struct pods *p, const struct store *s);

/* The same for one pod: start it, or stop the one with this UID. */
void pods_start(struct pods *p, const json_t *object);
void pods_stop(struct pods *p, struct str uid);

/* By UID: NULL when that sandbox is gone. */
struct pod *pods_find(const struct pods *p, struct str uid);

/* Connect.  ERR_REFUSED: nothing listens there. */
MUST_CHECK enum err pod_dial(struct pods *p, struct pod *pod, uint16_t port,
                             struct stream **ret);

/* Serve one more connection of this pod from a socket of one's own. */
void pod_serve(struct pods *p, struct pod *pod, uint16_t port, int fd);

/* For what serves: fill in the common part, and finish it. */
void pod_connection_init(struct pod_connection *c, struct loop *l, struct pod *pod,
                         struct stream *stream, void (*run)(struct task *),
                         void (*destroy)(struct pod_connection *));
void pod_connection_finish(struct pod_connection *c);
