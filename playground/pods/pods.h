/* playground/pods/pods.h - the servers behind the Pod objects
 *
 * A pod here is a name, a sandbox and a few ports with a server each (see ports[] in
 * pods.c).  Connections to it exist only as pairs of streams: HTTP ports use pairs in
 * memory, because benchmarks run against them; other ports use real sockets, to behave as
 * the kernel does in buffering and resets.  Ports of an app can be mapped to a server
 * outside.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>
#include <sys/socket.h>

#include "playground/pods/pod.h"

struct pods;
struct store;

struct pods *pods_create(struct loop *l);
void pods_destroy(struct pods *p); /* NULL accepted */

/* Connections to this port of pods of this app go to that address instead. */
void pods_map(struct pods *p, struct str app, uint16_t port,
              const struct sockaddr *address, socklen_t len);

/* Starts the servers of running pods in the store, and ends (FIN) the connections of pods
 * that are gone. */
void pods_sync(struct pods *p, const struct store *s);

/* The same for one pod: start it, or stop the one with this UID. */
void pods_start(struct pods *p, const json_t *object);
void pods_stop(struct pods *p, struct str uid);

/* Finds a pod by UID; NULL when its sandbox is gone. */
struct pod *pods_find(const struct pods *p, struct str uid);

/* Connects to a port of the pod.  ERR_REFUSED: no server listens there. */
MUST_CHECK enum err pod_dial(struct pods *p, struct pod *pod, uint16_t port,
                             struct stream **ret);

/* Serve one more connection of this pod, on a socket that is taken over. */
void pod_serve(struct pods *p, struct pod *pod, uint16_t port, int fd);
