/* cli/check_rights.h - which of the rights that kube-tunnel needs do the credentials have? */
#pragma once

#include "config/config.h"
#include "rights/role.h"

struct rights_question {
    enum role_level level; /* the role whose rights are checked */
    /* all of its rights are needed; else only those that every request needs */
    bool all_needed;
    const struct str *namespaces;
    size_t
        namespace_count; /* 0: the whole cluster, or at least the kubeconfig's namespace */
};

/* Prints a table of the rights.  Returns the exit status: 1 when a needed right is
 * missing, or the API server cannot be reached. */
int check_rights(const struct config *config, const struct rights_question *q);
