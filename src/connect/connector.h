/* connect/connector.h - the interface that opens a byte stream to a port of a pod
 *
 * The interface between upstream/, which decides what is opened, and the folders that open
 * connections: tunnel/ (port-forward through the API server) and direct/ (TCP to the pod's
 * address).  upstream/ includes neither of the two.
 *
 * A connector embeds `struct connector` and implements `open` and `cancel`.  The other
 * operations may be NULL.  The wrapper of each one documents what NULL stands for: a connector
 * whose connections share nothing and cost one round trip needs none of them.
 *
 * Pods are identified by endpoint->key (namespace, name and UID): a pod that was replaced is
 * another one.  Connectors know nothing of HTTP, services or retries.
 */
#pragma once

#include "base/log.h"
#include "catalog/service.h"
#include "connect/demand.h"
#include "kube/api.h"
#include "net/stream.h"

struct connector;

/* One connection that is being opened.  The caller's struct, zeroed before.  result is
 * ERR_AGAIN until the outcome is known, and then `wake` is woken, unless it was known before
 * connector_open returned.
 *   OK             `stream` is the caller's.  stream_close ends the connection in an orderly
 *                  way, stream_abort resets it
 *   ERR_NOT_FOUND  the API server has no such pod
 *   ERR_FORBIDDEN, ERR_UNAUTHORIZED, ERR_THROTTLED, ERR_SERVER, ERR_CONNECT, ERR_TLS,
 *   ERR_TIMEOUT, ...
 *                  `error` has the reason */
struct opening {
    enum err result;
    struct stream *stream;
    bool dialled;      /* on OK: a new tunnel or TCP connection was needed for it */
    struct log_id via; /* on OK: what carries the connection, for the log */
    struct api_error error;
    struct task *wake;
    bool alone; /* set before: the connection needs an own tunnel */
    bool
        small; /* set before: it takes any free worker slot rather than wait for a dial */
    uint16_t port;
    struct connector *connector; /* NULL: nothing is being opened */
    void *private;               /* the connector's; NULL: it has nothing to cancel */
    struct list_node waiting;    /* the connector's */
};

struct connector_ops {
    void (*open)(struct connector *c, const struct endpoint *endpoint, struct opening *o);
    void (*cancel)(struct opening *o);

    bool (*progresses)(const struct opening *o);
    bool (*has_room)(struct connector *c, const char *pod_key, uint16_t port);
    bool (*has_large_transfers)(struct connector *c, const char *pod_key);
    uint32_t (*count)(struct connector *c, const char *pod_key);
    struct demand (*demand)(struct connector *c, const char *pod_key);
    void (*expect)(struct connector *c, const struct endpoint *endpoint,
                   uint32_t concurrent, const struct demand *of);
    void (*prewarm)(struct connector *c, const char *pod_key);
    void (*make_room)(struct connector *c, const char *pod_key);
    void (*retire)(struct connector *c, const char *pod_key);
    bool (*lacks_credentials)(struct connector *c, struct diag *why);
    const char *(*plugin_output)(struct connector *c);
};

struct connector {
    const struct connector_ops *ops;
};

/* `endpoint` is borrowed for the call.  Port 0, in a tunnel only: the result is OK once a tunnel
 * is open, and no connection is opened in it. */
static inline void connector_open(struct connector *c, const struct endpoint *endpoint,
                                  uint16_t port, struct opening *o, struct task *wake)
{
    o->result = ERR_AGAIN;
    o->wake = wake;
    o->port = port;
    o->stream = NULL;
    o->connector = c;
    c->ops->open(c, endpoint, o);
}

/* Cancels the opening, or aborts its stream if the caller has not taken that; idempotent; a
 * zeroed struct is accepted. */
static inline void opening_finish(struct opening *o)
{
    struct stream *s = o->stream;

    if (o->connector && o->result == ERR_AGAIN)
        o->connector->ops->cancel(o);
    o->connector = NULL;
    o->stream = NULL;
    o->result = OK;
    stream_abort(s);
}

/* Did another opening to its pod succeed lately, so that this one only waits for its turn? */
static inline bool opening_progresses(const struct opening *o)
{
    return o->connector && o->connector->ops->progresses &&
           o->connector->ops->progresses(o);
}

/* Would a small opening succeed without a dial?  NULL: yes, since a dial costs no more than
 * that. */
static inline bool connector_has_room(struct connector *c, const char *pod_key,
                                      uint16_t port)
{
    return !c->ops->has_room || c->ops->has_room(c, pod_key, port);
}

/* Did connections to this pod carry large transfers lately?  Then no request to it counts as
 * small.  NULL: no, since connections share no tunnel. */
static inline bool connector_has_large_transfers(struct connector *c, const char *pod_key)
{
    return c->ops->has_large_transfers && c->ops->has_large_transfers(c, pod_key);
}

/* How many tunnels to this pod are open or being dialled.  NULL: none. */
static inline uint32_t connector_count(struct connector *c, const char *pod_key)
{
    return c->ops->count ? c->ops->count(c, pod_key) : 0;
}

/* The recent demand for connections to this pod.  NULL: it is not measured. */
static inline struct demand connector_demand(struct connector *c, const char *pod_key)
{
    return c->ops->demand ? c->ops->demand(c, pod_key) : (struct demand){ 0 };
}

/* Dial ahead for so many connections at once as other pods had; `of` has when they had
 * them.  NULL: nothing is dialled ahead, here and in the next two. */
static inline void connector_expect(struct connector *c, const struct endpoint *endpoint,
                                    uint32_t concurrent, const struct demand *of)
{
    if (c->ops->expect)
        c->ops->expect(c, endpoint, concurrent, of);
}

/* Dial one more tunnel to a pod that has some. */
static inline void connector_prewarm(struct connector *c, const char *pod_key)
{
    if (c->ops->prewarm)
        c->ops->prewarm(c, pod_key);
}

/* The same, but only if no open tunnel has room and none is being dialled. */
static inline void connector_make_room(struct connector *c, const char *pod_key)
{
    if (c->ops->make_room)
        c->ops->make_room(c, pod_key);
}

/* The pod was deleted or replaced: open nothing more to it and forget it.  Open connections
 * are not closed. */
static inline void connector_retire(struct connector *c, const char *pod_key)
{
    if (c->ops->retire)
        c->ops->retire(c, pod_key);
}

/* Does every opening wait for credentials, or fail for the lack of them?  *why has the
 * reason; connector_plugin_output returns what the exec plugin printed (see
 * credentials_plugin_output).  NULL: the connector needs no credentials. */
static inline bool connector_lacks_credentials(struct connector *c, struct diag *why)
{
    return c->ops->lacks_credentials && c->ops->lacks_credentials(c, why);
}

static inline const char *connector_plugin_output(struct connector *c)
{
    return c->ops->plugin_output ? c->ops->plugin_output(c) : NULL;
}
