/* upstream/connectors.h - which connector opens a connection to an endpoint
 *
 * Private to upstream/.  With --upstream auto a connection goes to the pod's address unless
 * that is known to fail (upstream/reachability.h).  If it fails, within the direct
 * connector's short deadline, it is opened through a tunnel instead.  --upstream direct and
 * --upstream tunnel use only that connector.
 */
#pragma once

#include "connect/connector.h"
#include "upstream/reachability.h"
#include "upstream/settings.h"

struct connectors {
    struct connector *tunnel, *direct; /* borrowed; one may be NULL, see upstream.h */
    struct sched *sched;
    struct reachability reachability;
    struct list_node trials;
    size_t trial_count;
    uint16_t cluster;
    /* Closes an idle direct connection, to free its descriptor; false: there is none. */
    bool (*free_descriptor)(void *owner);
    void *owner;
};

void connectors_init(struct connectors *c, struct sched *sched,
                     const struct upstream_connectors *use, uint16_t cluster);
void connectors_finish(struct connectors *c);

/* The connector that opens connections to this endpoint now. */
struct connector *connectors_for(const struct connectors *c, const struct endpoint *e);

/* Would a small connection to it be opened without a dial that takes long? */
static inline bool connectors_have_room(const struct connectors *c,
                                        const struct endpoint *e, uint16_t port)
{
    return connector_has_room(connectors_for(c, e), e->key, port);
}

/* Open a connection; *o has what it wants. */
void connectors_open(struct connectors *c, const struct endpoint *e, uint16_t port,
                     struct opening *o, struct task *wake);
/* Call when an opening has its result.  True: the opening had failed and was started again,
 * with the other connector or because a descriptor became free; o->result is the new result,
 * or ERR_AGAIN. */
bool connectors_on_result(struct connectors *c, const struct endpoint *e,
                          struct opening *o);

/* A direct connection to this endpoint is lost: the pod's packets stopped coming. */
void connectors_on_lost(struct connectors *c, const struct endpoint *e);

void connectors_retire(struct connectors *c, const char *pod_key);
bool connectors_lack_credentials(struct connectors *c, struct diag *why);
const char *connectors_plugin_output(struct connectors *c);
