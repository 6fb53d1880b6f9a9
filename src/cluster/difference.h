/* cluster/difference.h - what has changed between two readings of one context */
#pragma once

#include "kube/target.h"

enum difference {
    DIFFERENCE_NONE,
    DIFFERENCE_NAMESPACE,   /* only the context's default namespace */
    DIFFERENCE_CREDENTIALS, /* the user; server, CA and proxy are the same */
    DIFFERENCE_SERVER,      /* server, CA or proxy: it may be another cluster */
};

/* By the entries in the kubeconfig, of which a target has copies: files that they name are
 * not opened.  The greatest difference counts. */
enum difference target_difference(const struct kube_target *a,
                                  const struct kube_target *b);
