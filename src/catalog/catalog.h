/* catalog/catalog.h - the services of a cluster and the endpoints that serve them
 *
 * Works with what rights and size allow, and reports which it found:
 *   WATCH   list and watch services and endpointslices (or endpoints): everything known,
 *           always fresh
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
/* Watch no longer and forget what is known, which may be much; what was lent stays good.
 * Lookups that wait get ERR_CANCELLED, without a wake-up; later ones call the API server. */
void catalog_stop(struct catalog *c);
void catalog_destroy(struct catalog *c);
/* Of the first scope: there are several with namespaces, or where the cluster is forbidden. */
enum rights catalog_rights(const struct catalog *c);
const char *
catalog_scope(const struct catalog *c); /* namespace, or NULL: whole cluster */
/* Rights are known and, with WATCH, the first lists are in (for /readyz).  *ret_error
 * (may be NULL) is the last failure when the API server cannot be reached. */
bool catalog_ready(const struct catalog *c, struct api_error *ret_error);

/* Look up one service (struct lookup in question.h).  max_age_ms: an answer may be this
 * old (LOOKUP only; 0 calls the API server again). May answer before it returns. */
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
/* Does a watch report every change, so that another look-up would bring nothing new? */
bool lookup_is_watched(const struct lookup *l);
void lookup_finish(struct lookup *l); /* cancels; idempotent; zeroed accepted */

/* The API server has no such pod (a 404 that names it), while slices still have it: their
 * controller is behind, a minute or so after the API server was restarted.  It is no
 * endpoint any more; where that leaves nothing ready, pods are listed. */
void catalog_note_missing(struct catalog *c, const struct endpoint *e);

/* Report every endpoint that is gone (pod deleted or replaced), so that tunnels to it
 * can be retired: when no service that was looked up has the pod any more.  WATCH: in the
 * turn of the event; LOOKUP: when a newer look-up shows it.  One listener; it must not
 * look up. */
void catalog_on_gone(struct catalog *c, void (*gone)(void *owner, const char *pod_key),
                     void *owner);

/* Report every service that was looked up and has changed, in the turn of the event or of
 * the look-up; before what is gone is reported.  Either is NULL where there is none; both
 * are borrowed.  One listener; it must not look up. */
void catalog_on_change(struct catalog *c,
                       void (*change)(void *owner, const struct service *before,
                                      const struct service *after),
                       void *owner);

/* All services known now, for `list` and /readyz: calls back for each, in name order.
 * With LOOKUP it holds only what was looked up lately. */
void catalog_each(const struct catalog *c,
                  void (*each)(void *owner, const struct service *), void *owner);
size_t catalog_count(const struct catalog *c);
