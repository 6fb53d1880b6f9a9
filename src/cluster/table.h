/* cluster/table.h - what set.c, member.c, members.c and reload.c share; private to cluster/ */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "cluster/clusters.h"
#include "cluster/label.h"
#include "kube/kubeconfig.h"
#include "net/file_watch.h"

/* A context that was chosen.  It is never forgotten, so that its label stays its own. */
struct member {
    struct clusters *table;
    char *name;
    char label[LABEL_ROOM];
    uint16_t number;         /* of base/partition.h */
    bool present;            /* the kubeconfig has it */
    struct cluster *cluster; /* a reference; NULL: not connected */

    enum err failed; /* to connect; OK: not tried, or it worked */
    struct diag why;
    uint64_t failed_until; /* sched ms; not tried again before */
};

struct clusters {
    struct loop *loop;
    struct sched *sched;
    const struct cluster_settings *settings;
    struct clusters_choice choice;
    bool all;        /* every context of the kubeconfig */
    bool in_cluster; /* the service account's: there is no kubeconfig */

    struct kubeconfig *kubeconfig; /* as it was read last */
    struct member **members;       /* the first owns plain names */
    size_t count;
    struct map by_name, by_label;
    struct map numbers; /* the last that a label got, as uintptr_t */
    uint64_t last_tunnel_id;
    uint64_t last_direct_id;

    struct list_node retired; /* clusters that drain */
    struct task on_ended;     /* one of them may have ended */
    struct task *drained;

    struct file_watch **watches; /* of the kubeconfig's files */
    size_t watch_count;
    struct task on_file;
    struct diag unreadable; /* what was logged of it; "": it can be read */
    char *current;          /* current-context, when it was read last; or NULL */
};

/* What it is to be connected to, by the kubeconfig as it is; owned by the caller. */
MUST_CHECK enum err member_target(const struct member *m, struct kube_target **ret,
                                  struct diag *why);
/* A reference to its cluster, which is connected if it was not. */
MUST_CHECK enum err member_connect(struct member *m, struct cluster **ret,
                                   struct diag *why);
/* Give its cluster up: it drains. */
void member_disconnect(struct member *m);
/* Connect anew, as `target`, which is taken over; the old cluster, if there is one, drains.  A
 * failure leaves the old one. */
MUST_CHECK enum err member_replace(struct member *m, struct kube_target *target,
                                   struct diag *why);
void member_destroy(struct member *m);

/* NULL: there is none of that label; "": the first. */
struct member *clusters_member(const struct clusters *cs, struct str label);
