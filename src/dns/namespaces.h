/* dns/namespaces.h - does a namespace exist?
 *
 * The catalog knows services only.  A namespace without one exists, too, and its name is
 * then answered without records instead of as a name that does not exist.  So the API server is
 * asked for the namespace, at most NAMESPACE_CALLS at once, and its answer is remembered for
 * NAMESPACE_KEEP_MS.  Where namespaces may not be read each counts as existing.
 */
#pragma once

#include "base/list.h"
#include "base/sched.h"
#include "base/str.h"

struct cluster;
struct namespaces;

#define NAMESPACE_KEEP_MS 30000
#define NAMESPACE_MAX 256 /* remembered */
#define NAMESPACE_CALLS 8

/* One question; the caller's struct, zeroed before its first use.
 *   ERR_AGAIN      under way; `wake` is woken
 *   OK             it exists, or this user may not know
 *   ERR_NOT_FOUND  it does not
 *   others         the API server did not answer, or too many are being asked for */
struct namespace_want {
    enum err result;
    struct task *wake;
    struct list_node node; /* private */
};

struct namespaces *namespaces_create(struct sched *sched);
void namespaces_destroy(struct namespaces *all); /* NULL accepted; no question is left */

/* The result may be known when this returns; then `wake` is not woken. */
void namespaces_ask(struct namespaces *all, struct cluster *cluster, struct str ns,
                    struct namespace_want *want, struct task *wake);
void namespaces_leave(struct namespace_want *want); /* idempotent; zeroed accepted */
