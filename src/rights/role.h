/* rights/role.h - the rights that kube-tunnel needs, and the roles that grant them
 *
 * One table; what is printed for administrators, shown where a right is missing, and checked
 * all comes from it.  Pure text: YAML that kubectl applies as it is.
 */
#pragma once

#include <stdio.h>

#include "base/str.h"

#define ROLE_NAME "kube-tunnel"
#define RIGHT_VERBS 4

/* LOOKUP calls the API server when a request needs it; WATCH follows changes. */
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
    bool deployments; /* read them too, for names of Deployments without pods */
    const struct subject *subjects;
    size_t subject_count; /* 0: no binding */
};

/* One document, or two with a binding; with a line about each rule where `explained`. */
void role_print(const struct role *role, bool explained, FILE *to);
/* The role alone as text, or in one line: YAML in flow style without double quotes, which
 * the log leaves as it is.  Owned by the caller. */
char *role_text(const struct role *role);
char *role_line(const struct role *role);
