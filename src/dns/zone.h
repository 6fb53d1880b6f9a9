/* dns/zone.h - which zone a name of a question belongs to, and what it names there
 *
 * No I/O.  The served zones are the cluster's domain, the domain that was found in the cluster,
 * LABEL.k8s for each context, k8s, and the reverse names of 127.0.0.0/8.  Within a zone names are
 * read as CoreDNS reads them (plugin/kubernetes, parse.go; Kubernetes DNS specification 1.1):
 *   <svc>.<ns>.svc                    a service
 *   <endpoint>.<svc>.<ns>.svc         one endpoint of a service
 *   _<port>._<proto>.<svc>.<ns>.svc   a port of a service, the underscores may be left out
 *   <pod>.<ns>.pod                    a pod by name, or by address with dashes
 *   <ns>.svc, svc, <ns>.pod, pod, the zone itself    exist, but have no addresses
 * Names that end in a search domain ("web.shop.svc.cluster.local.shop.svc.cluster.local") have too
 * many labels: they are SUBJECT_NONE, and nothing has to be looked up.
 */
#pragma once

#include <netinet/in.h>

#include "base/str.h"

struct clusters;
struct dns_name;
struct naming;

enum zone_kind {
    ZONE_NONE,    /* not served here */
    ZONE_CLUSTER, /* of one cluster */
    ZONE_K8S,     /* k8s: its children are the zones of contexts */
    ZONE_REVERSE, /* an address of 127.0.0.0/8 */
};

struct zone {
    enum zone_kind kind;
    size_t label; /* the zone begins at this label of the name */
    struct str
        cluster; /* ZONE_CLUSTER: its label; empty: that of plain names; borrowed from the name */
    struct in_addr address; /* ZONE_REVERSE */
};

/* What zone_find needs to know; tests have functions of their own. */
struct zones {
    const struct naming *naming;
    bool (*has_label)(const void *owner, struct str label); /* is it a context's? */
    const void *owner;
};

void zone_find(const struct zones *z, const struct dns_name *name, struct zone *ret);

enum subject_kind {
    SUBJECT_NONE,      /* does not exist, whatever the cluster has */
    SUBJECT_EMPTY,     /* exists without records: svc, pod */
    SUBJECT_APEX,      /* the zone itself */
    SUBJECT_NAMESPACE, /* exists if its namespace does */
    SUBJECT_SERVICE,   /* a service, its endpoint or its port */
    SUBJECT_POD,
    SUBJECT_NAME_SERVER, /* ns.dns */
    SUBJECT_VERSION,     /* dns-version */
};

/* Views into the name. */
struct subject {
    enum subject_kind kind;
    struct str ns, service;
    struct str endpoint;       /* empty: the service as a whole */
    struct str port, protocol; /* empty: any */
    struct str pod;
};

/* zone: of the name, ZONE_CLUSTER or ZONE_K8S. */
void subject_read(const struct dns_name *name, const struct zone *zone,
                  struct subject *ret);

/* "10-1-2-3" to "10.1.2.3", "fd00--7" to "fd00::7"; false: it is no address.  room: 64 bytes. */
#define DASHED_ROOM 64
bool dashed_to_address(struct str label, char out[static DASHED_ROOM]);
/* The other way, as CoreDNS spells it; false: the address is too long. */
bool address_to_dashed(const char *ip, char out[static DASHED_ROOM]);
