/* cli/check_rights.h - which of the rights that kube-tunnel needs do the credentials have? */
#pragma once

#include "config/config.h"
#include "rights/role.h"

struct rights_question {
    enum role_level level; /* what is checked */
    bool all_needed;       /* ... must be there; else what every request takes */
    const struct str *namespaces;
    size_t
        namespace_count; /* 0: the whole cluster, or at least the kubeconfig's namespace */
};

/* Print a table of them.  The exit status: 1 when something that is needed is missing, or
 * the API server cannot be reached. */
int check_rights(const struct config *config, const struct rights_question *q);
