/* catalog/catalog.h - what the cluster told us about services and who serves them
 *
 * Works with what rights and size allow, and says which it found:
 *   WATCH   list and watch services and endpointslices (or endpoints): everything known,
 *           always fresh
 *   LAZY    the same rights, but very many services: each is looked up when it is asked
 *           for, and watched by itself once it is asked for again
 *   LOOKUP  get services, and list endpointslices, get endpoints or list pods: looked up
 *           when asked for and kept a few seconds
 * either for the whole cluster or, when that is forbidden, namespace by namespace.
 *
 * An entry is one immutable, shared object per service: a change replaces it, whoever
 * holds a reference keeps what they started with.  Look-ups never block: ERR_AGAIN and a
 * wake-up.
 */
#pragma once

#include "base/sched.h"
#include "kube/api.h"

struct service_spec;

/* One pod that can serve.  Immutable; lives as long as its service entry is referenced,
 * and longer through endpoint_ref. */
struct endpoint {
    unsigned refs;
    const char *ns, *pod, *uid; /* uid: "" when the slice does not say it */
    const char *key; /* "NS/POD/UID" identifies it: a replaced pod has another, and a
                             slice that claims a foreign UID gets nothing by it */
    const char *ip, *node; /* may be NULL */
    const char *hostname;  /* the endpoint's own label (StatefulSet), or NULL */
    uint32_t rank;         /* at random, and another one in each process */
    bool ready;            /* may get new work */
    bool terminating;      /* last resort */
    /* Per service port: the container's port, 0: it has none.  A reference, see
     * container_ports.h; NULL: no port of a service leads here. */
    const uint16_t *ports;
};

struct service_port {
    const char *name; /* "" when unnamed */
    uint16_t number;
    bool tcp;                 /* false: UDP or SCTP, which port-forward cannot carry */
    const char *app_protocol; /* or NULL */
    const char *target_name;  /* a named targetPort, or NULL */
    uint16_t target; /* a numeric targetPort (number itself when absent), 0 if named */
};

enum service_kind {
    SERVICE_NORMAL,
    SERVICE_EXTERNAL,   /* type ExternalName: nothing to forward to */
    SERVICE_POD,        /* not a service: one pod asked for by name; any port goes */
    SERVICE_DEPLOYMENT, /* not a service: the pods of one; its ports are the template's
                           container ports, and any other goes too */
};

struct service {
    unsigned refs;
    enum service_kind kind;
    const char *ns, *name;
    const char *external_name; /* SERVICE_EXTERNAL */
    bool has_selector, headless, sticky /* sessionAffinity: ClientIP */;
    const struct service_port *ports;
    size_t port_count;
    struct endpoint **endpoints; /* ready first, then not ready, terminating last */
    size_t endpoint_count;
    /* Beyond what is kept of one service (20,000 ports, 5,000 endpoints). */
    size_t ports_left_out, endpoints_left_out;
    size_t by_address; /* endpoints of a service without a selector that name no pod */
    bool from_pods;    /* ready by a list of pods, which its slices do not know yet */
    size_t pods_seen;  /* pods that matched, whatever their state: for messages */
    size_t pods_over;  /* of those: Succeeded or Failed, which no pod leaves again */
    char *pods_note; /* why none can serve: "2 pods match: web-1 Pending, ..." or NULL */
    uint64_t last_ready; /* sched ms when an endpoint was last ready; 0: never seen */
    struct service_spec *spec; /* private: a reference; owns the texts and ports above */
};

/* Of a service with more endpoints than this, work goes to so many: each has tunnels of its
 * own, and thousands of them would be used once each.  They come first among the ready ones
 * (by rank), and stay so while they exist. */
#define SERVICE_SUBSET 64

struct endpoint *endpoint_ref(const struct endpoint *e);
void endpoint_unref(struct endpoint *e); /* NULL accepted */
struct service *service_ref(const struct service *s);
void service_unref(struct service *s); /* NULL accepted */

/* The container's port of service port `index` on this endpoint; 0: it has none. */
uint16_t endpoint_port(const struct service *s, const struct endpoint *e, size_t index);

enum rights { RIGHTS_UNKNOWN, RIGHTS_WATCH, RIGHTS_LAZY, RIGHTS_LOOKUP };

enum discovery {
    DISCOVERY_AUTO,  /* watch, but lazily above a size */
    DISCOVERY_WATCH, /* watch whatever there is */
    DISCOVERY_LAZY,  /* watch single services, those that are asked for */
};

struct catalog_settings {
    uint64_t keep_ms; /* how long a look-up is good for (LOOKUP); 3000 */
    uint64_t call_ms; /* deadline of one API call; 10000 */
    const char
        *home_ns;     /* the namespace to fall back to; borrowed, outlives the catalog */
    uint16_t cluster; /* its number, for the log */
    /* Watch in these namespaces only; none: in the whole cluster, or where that is
     * forbidden, namespace by namespace.  Borrowed, and they outlive the catalog. */
    char *const *namespaces;
    size_t namespace_count;
    enum discovery discovery;
    /* AUTO: more services or endpointslices, or bytes of their JSON, are large. */
    uint64_t lazy_above, lazy_above_bytes;
};

struct catalog;
struct catalog *catalog_create(struct sched *sched, struct api *api,
                               const struct catalog_settings *settings);
/* Watch no longer and forget what is known, which may be much; what was lent stays good.
 * Lookups that wait get ERR_CANCELLED, without a wake-up; later ones ask the API server. */
void catalog_stop(struct catalog *c);
void catalog_destroy(struct catalog *c);
/* Of the first scope: there are several with namespaces, or where the cluster is forbidden. */
enum rights catalog_rights(const struct catalog *c);
const char *
catalog_scope(const struct catalog *c); /* namespace, or NULL: whole cluster */
/* Rights are known and, with WATCH, the first lists are in (for /readyz).  *ret_error
 * (may be NULL) is the last failure when the API server cannot be reached. */
bool catalog_ready(const struct catalog *c, struct api_error *ret_error);

/* One question.  The caller's struct, zeroed before its first use; asking again with it
 * ends what was asked before.  result is ERR_AGAIN until answered:
 *   OK             service is a reference that lookup_finish drops
 *   ERR_NOT_FOUND  error.why is the API server's `services "x" not found`
 *   ERR_FORBIDDEN, ERR_UNAUTHORIZED, ERR_SERVER, ERR_CONNECT, ...
 *                  error says it all; for a 403 missing_verb and missing_resource name
 *                  the right to grant
 *   ERR_LIMIT      too many names are being looked up at once
 *   ERR_CANCELLED  lookup_finish was called, or the catalog is gone
 * After the answer it stays subscribed: every later change of this service wakes too,
 * until lookup_finish; ask again to see the change. */
struct lookup {
    enum err result;
    struct service *service;
    struct api_error error;
    const char *missing_verb, *missing_resource; /* static text or NULL */
    struct task *wake;
    struct list_node subscribed; /* private */
    void *entry;                 /* private */
};
/* max_age_ms: an answer may be this old (LOOKUP only; 0 asks the API server again). May
 * answer before it returns. */
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
/* Does a watch tell of every change, so that nothing is to be gained by asking again? */
bool lookup_is_watched(const struct lookup *l);
void lookup_finish(struct lookup *l); /* cancels; idempotent; zeroed accepted */

/* The API server said that there is no such pod (a 404 that names it), while slices still
 * have it: their controller is behind, a minute or so after the API server was restarted.  It
 * is nobody's endpoint any more; where that leaves nothing ready, pods are listed. */
void catalog_note_missing(struct catalog *c, const struct endpoint *e);

/* Tell of every endpoint that is gone (pod deleted or replaced), so that tunnels to it
 * can be retired: when no service that was asked for has the pod any more.  WATCH: in the
 * turn of the event; LOOKUP: when a newer look-up shows it.  One listener; it must not
 * ask. */
void catalog_on_gone(struct catalog *c, void (*gone)(void *owner, const char *pod_key),
                     void *owner);

/* Tell of every service that was asked for and has changed, in the turn of the event or of
 * the look-up; before what is gone is told.  Either is NULL where there is none; both are
 * borrowed.  One listener; it must not ask. */
void catalog_on_change(struct catalog *c,
                       void (*change)(void *owner, const struct service *before,
                                      const struct service *after),
                       void *owner);

/* All services known now, for `list` and /readyz: calls back for each, in name order.
 * With LOOKUP it holds only what was asked for lately. */
void catalog_each(const struct catalog *c,
                  void (*each)(void *owner, const struct service *), void *owner);
size_t catalog_count(const struct catalog *c);
