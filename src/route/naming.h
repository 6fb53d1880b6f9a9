/* route/naming.h - names beyond the fixed forms: the cluster's domain and aliases
 *
 * One for the process.  It belongs to the daemon, which adds aliases at the start and the
 * domain that the cluster was found to have; all others read it.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/sched.h"
#include "route/name.h"

struct alias {
    char *name; /* lower case, without a final dot and without ".localhost" */
    struct name target;
    uint16_t port; /* where the request names none; 0: none */
};

struct naming {
    char *zone;       /* --cluster-domain or its default */
    char *found_zone; /* the cluster's own, accepted beside it; or NULL */
    bool looking;     /* it is being looked for: naming_may_be_found waits for that */
    struct list_node waiting; /* struct naming_want */
    struct alias **aliases;   /* in the order in which they were added */
    size_t alias_count;
    struct map by_name; /* the same */
};

/* A request that waits for the domain; zeroed before. */
struct naming_want {
    struct list_node node;
    struct task *wake;
};

void naming_init(struct naming *n, const char *zone);
void naming_finish(struct naming *n);

/* The name, or "" and ".localhost" after it, means the target; port: number or name, at ==
 * NULL: none.  ERR_CONFIG: *why has the reason: the name or the target is none, the
 * name means something already, or the target is no name of the cluster itself. */
MUST_CHECK enum err naming_add_alias(struct naming *n, struct str name, struct str target,
                                     struct str port, struct diag *why);

/* False: it is that one already. */
bool naming_set_found_zone(struct naming *n, const char *zone);
/* The domain was looked for: wake the requests that wait. */
void naming_end_look(struct naming *n);
/* Would this host be a full name if its last labels were the cluster's domain? */
bool naming_may_be_found(const struct naming *n, struct str host);
void naming_wait(struct naming *n, struct naming_want *w, struct task *wake);
void naming_leave(struct naming_want *w); /* idempotent; zeroed accepted */
/* The domain that full names are shown with; borrowed. */
const char *naming_zone(const struct naming *n);

/* As name_parse; an alias becomes the name of its target, with NAME_SUFFIX_ALIAS.  *ret_port
 * (may be NULL) is the alias' port, else 0. */
void naming_read(const struct naming *n, struct str host, struct name *ret,
                 uint16_t *ret_port);
