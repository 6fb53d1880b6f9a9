/* playground/cluster.h - the struct cluster, which all parts of the playground share
 *
 * main.c creates and destroys it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "net/loop.h"
#include "playground/api/store.h"
#include "playground/faults.h"
#include "playground/pods/pods.h"

enum rights {
    RIGHTS_WATCH,     /* all rights that kube-tunnel can use */
    RIGHTS_ORIGINAL,  /* get and list on services and pods, create on pods/portforward */
    RIGHTS_NAMESPACE, /* the same inside RIGHTS_HOME only */
    RIGHTS_NONE,
};
#define RIGHTS_HOME "shop"

struct server;
struct scale;
struct call;
struct answer;

/* How the runtime on the node behaves: containerd 1.x and 2.1 report the ends of
 * connections differently.
 */
enum runtime { CONTAINERD_1, CONTAINERD_2 };

struct cluster {
    struct loop *loop;
    struct store *store;
    struct pods *pods;
    struct scale *scale;
    struct faults faults;
    const char *token, *user; /* borrowed from the options */
    enum rights rights;
    enum runtime runtime;
    unsigned minor; /* of the API server: 1.<minor> */
    struct server *server;
    struct list_node connections, sessions;
    uint64_t connections_opened; /* for ids in the log */
    uint64_t sessions_opened;
    /* Of control.h, set by main.c; NULL: no commands.  False: the path is not its own. */
    bool (*respond_control)(struct cluster *c, const struct call *call, struct answer *a);
};

/* After any change of objects: derive the endpoint slices, start and stop pods. */
void cluster_settle(struct cluster *c);

/* Does the user have this right, and no command has denied it? resource is "pods",
 * "pods/portforward"; ns "" means the whole cluster, name "" any. */
bool cluster_allows(const struct cluster *c, struct str verb, struct str group,
                    struct str resource, struct str ns, struct str name);
