/* cluster/clusters.h - the clusters of this process
 *
 * Other modules get a cluster from here by its label, and do not depend on how many there are.
 *
 * A member is one context of the kubeconfig: those that --context names, all of them, or the
 * current one.  One of them, the first, owns the names without a label and is connected at
 * the start; the others are connected when a request is for them.  The kubeconfig is
 * watched: cluster/reload.c.
 */
#pragma once

#include "base/texts.h"
#include "base/sched.h"

struct loop;
struct cluster_settings;
struct cluster;
struct clusters;

/* Which contexts; borrowed until the clusters are destroyed. */
struct clusters_choice {
    const char *kubeconfig;      /* --kubeconfig, or NULL */
    const char *const *contexts; /* --context; "all" is every one */
    size_t context_count;        /* 0: the current one */
    const char *ns;              /* --namespace, or NULL */
    struct str zone;             /* the clusters' domain */
    bool offline;                /* only to know of them: nothing is connected */
};

/* Reads the kubeconfig and connects the first.  The settings are borrowed and outlive it;
 * they may be NULL with `offline`.
 * ERR_CONFIG and others: it cannot be read, or has no such context, or the only context
 * cannot be used. */
MUST_CHECK enum err clusters_create(struct loop *loop,
                                    const struct cluster_settings *settings,
                                    const struct clusters_choice *choice,
                                    struct clusters **ret, struct diag *why);
void clusters_destroy(struct clusters *cs); /* NULL accepted; leases were returned */

/* The cluster of this label, "" for that of plain names; *ret is a reference.  Connects it,
 * which does not wait for anything.
 * ERR_NOT_CONFIGURED: there is none, and *why names those that exist.
 * ERR_CONFIG: the context cannot be used, and *why has the reason. */
MUST_CHECK enum err clusters_find(struct clusters *cs, struct str label,
                                  struct cluster **ret, struct diag *why);

/* The context of a label, "" for that of plain names; borrowed.  NULL: there is none. */
const char *clusters_context(const struct clusters *cs, struct str label);
/* The label of a context, "" for that of plain names; borrowed.  NULL: it is not selected. */
const char *clusters_label(const struct clusters *cs, struct str context);
bool clusters_have_label(const struct clusters *cs, struct str label);

/* Would a request to this cluster make an exec plugin prompt a person at the terminal?  *why: of
 * which one, or its last error.  Connects nothing. */
bool clusters_need_login(const struct clusters *cs, struct str label, struct diag *why);
/* The user has started the login: connect the cluster, and run the plugin unless it pauses after
 * a failure.
 * OK: there are credentials.  ERR_AGAIN: it runs.  else: *why. */
MUST_CHECK enum err clusters_login(struct clusters *cs, struct str label,
                                   struct diag *why);

/* For status pages and messages; the texts are borrowed. */
struct cluster_status {
    const char *name, *label;
    bool plain;        /* names without a label are its */
    bool several;      /* there are others */
    bool connected;    /* it was looked up */
    bool ready;        /* what it has is known: catalog_ready */
    struct diag error; /* of the last failure, when it cannot be reached or used; "" */
    const struct kube_target *target; /* NULL: not connected */
    const struct cluster *cluster;    /* likewise */
};

/* Of one of them: the first is 0. */
struct cluster_status clusters_status(const struct clusters *cs, size_t i);
/* What it would be connected to; owned by the caller. */
MUST_CHECK enum err clusters_target(const struct clusters *cs, size_t i,
                                    struct kube_target **ret, struct diag *why);
/* Of each, the first one first. */
void clusters_each(const struct clusters *cs,
                   void (*each)(void *owner, const struct cluster_status *), void *owner);
size_t clusters_count(const struct clusters *cs);

/* To all of them: upstream_unpair, upstream_trim, tunnels_check. */
void clusters_unpair(struct clusters *cs, uint64_t pair);
void clusters_trim(struct clusters *cs);
/* upstream_free_descriptor, of any of them. */
bool clusters_free_descriptor(struct clusters *cs);
void clusters_check_tunnels(struct clusters *cs, const char *why);

/* Call it when the limits and times of the settings have changed: connected clusters take
 * them over. */
void clusters_configure(struct clusters *cs);

/* No new leases: close what is idle, and let the rest end.  *done wakes when clusters_idle
 * may have become true. */
void clusters_drain(struct clusters *cs, struct task *done);
bool clusters_idle(const struct clusters *cs); /* nothing is left of any */
