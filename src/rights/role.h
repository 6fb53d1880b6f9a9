/* rights/role.h - the rights that kube-tunnel needs, and the roles that grant them
 *
 * One table of RBAC rules.  What `kube-tunnel rbac` prints, what an error about a missing
 * right shows, and what `kube-tunnel rbac --check` checks all comes from it.  The output is YAML for
 * `kubectl apply`.
 */
#pragma once

#include <stdio.h>

#include "base/str.h"

#define ROLE_NAME "kube-tunnel"
#define RIGHT_VERBS 4

/* The rights to look up services when a request needs them, or to watch all of them. */
enum role_level { ROLE_LOOKUP, ROLE_WATCH };

struct right {
    const char *group, *resource;   /* "" and "pods/portforward" */
    const char *verbs[RIGHT_VERBS]; /* NULL after the last one */
    const char *why;                /* one line */
};

#define RIGHTS 4 /* at each level */
const struct right *role_rights(enum role_level level);

enum subject_kind { SUBJECT_USER, SUBJECT_GROUP, SUBJECT_SERVICE_ACCOUNT };

struct subject {
    enum subject_kind kind;
    struct str ns; /* of a service account */
    struct str name;
};

struct role {
    enum role_level level;
    const char *name;
    const char *ns;   /* NULL: a ClusterRole */
    bool deployments; /* also the right to read Deployments, for those without pods */
    const struct subject *subjects;
    size_t subject_count; /* 0: no binding */
};

/* Prints one YAML document, or two if there are subjects: the role, and its binding.  With
 * `explained` each rule has a comment. */
void role_print(const struct role *role, bool explained, FILE *to);
/* The role without a binding, as YAML; owned by the caller.  role_line returns one line, in
 * flow style and without double quotes, since the log would escape those. */
char *role_text(const struct role *role);
char *role_line(const struct role *role);
