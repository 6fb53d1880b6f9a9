/* catalog/question.h - the settings of a catalog, and one look-up in it
 */
#pragma once

#include "base/list.h"
#include "base/sched.h"
#include "catalog/service.h"
#include "kube/api_error.h"

enum rights { RIGHTS_UNKNOWN, RIGHTS_WATCH, RIGHTS_LAZY, RIGHTS_LOOKUP };

enum discovery {
    DISCOVERY_AUTO,  /* watch all services; above a size as DISCOVERY_LAZY */
    DISCOVERY_WATCH, /* watch all services, whatever their number */
    DISCOVERY_LAZY,  /* watch only services that are requested, each by itself */
};

struct catalog_settings {
    uint64_t keep_ms; /* for how long a result is cached (LOOKUP); default 3000 */
    uint64_t call_ms; /* deadline of one API call; default 10000 */
    const char
        *home_ns;     /* the namespace to fall back to; borrowed, outlives the catalog */
    uint16_t cluster; /* its number, for the log */
    /* Watch in these namespaces only; none: in the whole cluster, or where that is
     * forbidden, namespace by namespace.  Borrowed, and they outlive the catalog. */
    char *const *namespaces;
    size_t namespace_count;
    enum discovery discovery;
    /* AUTO: a cluster with more services or endpointslices, or more bytes of their JSON, is
     * watched lazily. */
    uint64_t lazy_above, lazy_above_bytes;
};

/* One look-up.  The caller's struct, zeroed before its first use; another look-up with it
 * replaces the one before.  result is ERR_AGAIN until the outcome is known:
 *   OK             service is a reference that lookup_finish drops
 *   ERR_NOT_FOUND  error.why is the API server's `services "x" not found`
 *   ERR_FORBIDDEN, ERR_UNAUTHORIZED, ERR_SERVER, ERR_CONNECT, ...
 *                  error has the reason; for a 403 missing_verb and missing_resource name
 *                  the right to grant
 *   ERR_LIMIT      too many names are being looked up at once
 *   ERR_CANCELLED  lookup_finish was called, or the catalog is gone
 * After that it stays subscribed until lookup_finish: `wake` is woken for each later change of
 * this service; look up again to get the change. */
struct lookup {
    enum err result;
    struct service *service;
    struct api_error error;
    const char *missing_verb, *missing_resource; /* static text or NULL */
    struct task *wake;
    struct list_node subscribed; /* private */
    void *entry;                 /* private */
};
