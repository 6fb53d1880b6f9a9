/* catalog/catalog.h - the services of a cluster and the endpoints that serve them
 *
 * The mode depends on rights and on the size of the cluster (catalog_rights):
 *   WATCH   list and watch services and endpointslices (or endpoints): all are known and
 *           up to date
 *   LAZY    the same rights, but very many services: each is looked up when it is
 *           requested, and watched by itself once it is requested again
 *   LOOKUP  get services, and list endpointslices, get endpoints or list pods: looked up
 *           on request and kept a few seconds
 * either for the whole cluster or, when that is forbidden, namespace by namespace.
 *
 * An entry is one immutable, shared object per service: a change replaces it, and a holder
 * of a reference keeps the state it started with.  Look-ups never block: ERR_AGAIN and a
 * wake-up.
 */
#pragma once

#include "catalog/question.h"
#include "kube/api.h"

struct catalog;
struct catalog *catalog_create(struct sched *sched, struct api *api,
                               const struct catalog_settings *settings);
/* Stop all watches and free the cache; references to services stay valid.  Look-ups in progress
 * get ERR_CANCELLED, without a wake-up; later ones call the API server. */
void catalog_stop(struct catalog *c);
void catalog_destroy(struct catalog *c);
/* The rights in the first scope.  There are several scopes with --namespaces, or where watching
 * the whole cluster is forbidden. */
enum rights catalog_rights(const struct catalog *c);
const char *
catalog_scope(const struct catalog *c); /* namespace, or NULL: whole cluster */
/* Are rights known and, with WATCH, the first lists complete (for /readyz)?  *ret_error (may be
 * NULL) is the last failure if the API server cannot be reached. */
bool catalog_ready(const struct catalog *c, struct api_error *ret_error);

/* Look up one service (struct lookup in question.h).  max_age_ms: a cached result may be this
 * old (LOOKUP only; 0 calls the API server again).  The result may be known when this returns. */
void catalog_lookup(struct catalog *c, struct str ns, struct str name,
                    uint64_t max_age_ms, struct lookup *l, struct task *wake);
/* One pod by name ("db-0") or by address ("10.1.2.3"): a SERVICE_POD with one endpoint.
 */
void catalog_lookup_pod(struct catalog *c, struct str ns, struct str pod,
                        uint64_t max_age_ms, struct lookup *l, struct task *wake);
/* The pods of a Deployment: a SERVICE_DEPLOYMENT.  Where Deployments may not be read the
 * namespace's pods are listed, and those that its ReplicaSets made are taken. */
void catalog_lookup_deployment(struct catalog *c, struct str ns, struct str name,
                               uint64_t max_age_ms, struct lookup *l, struct task *wake);
/* Does a watch report every change, so that another look-up would return nothing new? */
bool lookup_is_watched(const struct lookup *l);
/* False: it was never made or finished, or its catalog is gone, and `wake` is not woken any more. */
static inline bool lookup_is_attached(const struct lookup *l)
{
    return l->entry != NULL;
}
/* A connection will be made to an endpoint that this look-up has found: the service is reported
 * to catalog_on_gone and catalog_on_change until it is gone. */
void lookup_keep(const struct lookup *l);
void lookup_finish(struct lookup *l); /* cancels; idempotent; zeroed accepted */

/* The API server has no such pod (a 404 that names it), while EndpointSlices still have it: the
 * controller that writes slices may be a minute late after the API server was restarted.  The
 * pod is removed from the endpoints; if none is ready then, pods are listed. */
void catalog_note_missing(struct catalog *c, const struct endpoint *e);

/* Set the callback for endpoints that are gone, so that tunnels to them can be retired: called
 * when no entry has the pod any more.  WATCH: in the turn of the event; LOOKUP: when a newer
 * look-up shows it.  Of watched services that no look-up holds and that were not kept
 * (lookup_keep) only the last 500 have an entry.  The callback must not look up. */
void catalog_on_gone(struct catalog *c, void (*gone)(void *owner, const char *pod_key),
                     void *owner);

/* Set the callback for services whose entry has changed: called in the turn of the event or of
 * the look-up, before pods are reported as gone.  before is NULL if the service had no entry,
 * after if it does not exist any more; both are borrowed.  The callback must not look up. */
void catalog_on_change(struct catalog *c,
                       void (*change)(void *owner, const struct service *before,
                                      const struct service *after),
                       void *owner);

/* All services known now, for `list` and /readyz: calls back for each, in name order.
 * With LOOKUP these are only the services that were looked up lately.  The callback may look
 * up; what it gets is borrowed until it returns. */
void catalog_each(const struct catalog *c,
                  void (*each)(void *owner, const struct service *), void *owner);
/* The same for those that are wanted: entries of others are not built. */
void catalog_each_wanted(const struct catalog *c,
                         bool (*wants)(void *owner, const char *ns, const char *name),
                         void (*each)(void *owner, const struct service *), void *owner);
size_t catalog_count(const struct catalog *c);
