/* forward/target.h - one target and the pod that it has at present
 *
 * Private to forward/.
 */
#pragma once

#include "connect/connector.h"
#include "forward/lookup.h"
#include "forward/ports.h"

struct forward;

/* A connection, which is woken when there is a pod. */
struct target_client {
    struct list_node node; /* of the target's clients */
    struct task *wake;
    void (*kill)(struct target_client *c); /* resets it, and frees it */
};

enum target_state {
    TARGET_LOOKUP,
    TARGET_DIAL,
    TARGET_READY,
    TARGET_PAUSE,
    TARGET_FAILED,
};

struct target {
    struct forward *forward;
    const struct forward_spec *spec; /* borrowed */
    const char *ns;
    char *label; /* "deployment/web", for messages */
    struct task task;
    enum target_state state;
    struct timer timer;
    bool fired;             /* the timer of the present state has fired */
    bool stale;             /* the pod may not be the right one any more: look it up */
    bool started;           /* it has been ready once */
    bool away;              /* a failure was reported, the recovery was not */
    char *left;             /* the pod that was replaced, until that is reported */
    uint64_t lacking_since; /* no usable pod; 0: it has one */
    uint64_t lookup_after;  /* the next look-up, if it is stale */
    uint64_t pause_ms;      /* the last pause, for the next one */

    struct forward_lookup lookup;
    struct pod *pod;            /* owned; NULL: none */
    struct forward_pair *pairs; /* of the spec's ports; valid once started */
    struct opening warm;        /* a tunnel without a connection */
    struct api_watch *watch;    /* of the pods; NULL: not yet, or not permitted */
    bool may_not_watch;
    struct task watched;
    struct list_node clients;
};

void target_init(struct target *t, struct forward *f, const struct forward_spec *spec,
                 const char *ns);
void target_finish(struct target *t);

/* The pod for new connections; false: there is none at present.  The texts of *ret are
 * borrowed for the turn. */
bool target_endpoint(const struct target *t, struct endpoint *ret);
/* A connection found that the pod may have gone, or does not serve. */
void target_suspect(struct target *t);
