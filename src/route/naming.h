/* route/naming.h - names beyond the fixed forms: the cluster's domain and aliases
 *
 * There is one in the process.  The daemon owns it and adds the aliases at the start, and
 * the cluster's domain once it is found; other code reads it.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/sched.h"
#include "route/name.h"

struct alias {
    char *name; /* lower case, without a final dot and without ".localhost" */
    struct name target;
    uint16_t port; /* used if the request has no port; 0: none */
    bool added;    /* by a command, not by the configuration: kept at a reload */
};

struct naming {
    char *zone; /* --cluster-domain or its default */
    /* the domain found in the cluster, accepted besides zone; or NULL */
    char *found_zone;
    /* the domain is being looked for, and names that may end in it wait
     * (naming_may_be_found) */
    bool looking;
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

/* Makes `name`, and `name`.localhost, an alias of the target; port: number or name, at ==
 * NULL: none.  ERR_CONFIG: *why has the reason: the name or the target is invalid, the
 * name has a meaning already, or the target is not a name of the cluster. */
MUST_CHECK enum err naming_add_alias(struct naming *n, struct str name, struct str target,
                                     struct str port, struct diag *why);

/* Exchanges the aliases of both, which have the same zone.  Those that were added stay in
 * n, unless an alias of `from` has their name. */
void naming_exchange_aliases(struct naming *n, struct naming *from);

/* Without ".localhost".  False: there is no such alias. */
bool naming_remove_alias(struct naming *n, struct str name);

/* False: the domain was known already. */
bool naming_set_found_zone(struct naming *n, const char *zone);
/* Call it when the domain was found or could not be: wakes the requests that wait. */
void naming_end_look(struct naming *n);
/* Would this host be a full name if its last labels were the cluster's domain? */
bool naming_may_be_found(const struct naming *n, struct str host);
void naming_wait(struct naming *n, struct naming_want *w, struct task *wake);
void naming_leave(struct naming_want *w); /* idempotent; zeroed accepted */
/* The domain for full names in output; borrowed. */
const char *naming_zone(const struct naming *n);

/* Is it a domain that is none of the cluster's, or an address that is not loopback?  Then
 * *ret gets NAME_OUTSIDE.  A name of two labels is a service's with short_names, else a
 * domain. */
bool naming_read_outside(const struct naming *n, struct str host, bool short_names,
                         struct name *ret);

/* Like name_parse; an alias becomes the name of its target, with NAME_SUFFIX_ALIAS.
 * *ret_port (may be NULL) is the alias' port, else 0. */
void naming_read(const struct naming *n, struct str host, struct name *ret,
                 uint16_t *ret_port);
