/* route/name.h - parses a host name as a client wrote it
 *
 * No I/O.  Names are case-insensitive and may end in a dot.  Accepted, with <zone> the
 * cluster domain (facts: Kubernetes DNS specification 1.1; CoreDNS plugin/kubernetes):
 *   <svc>.<ns>.svc.<zone>   <svc>.<ns>.svc   <svc>.<ns>   <svc>.<ns>.localhost
 *   <endpoint>.<svc>.<ns>.svc[.<zone>|.localhost]   a pod of a headless service
 *   _<port>._<proto>.<svc>.<ns>.svc[...]            a port by its name; as CoreDNS has it,
 *                                                   the underscores may be left out
 *   <pod>.<ns>.pod[.<zone>|.localhost]              any port of one pod
 *   <a-b-c-d>.<ns>.pod[...]                         a pod by its address
 *   [_<port>._<proto>.]<deployment>.<ns>.deploy[...]  any ready pod of a Deployment
 *   <svc>.<ns>.<cluster>.localhost                  in another cluster, by its label
 *   <any form that ends in .svc, .pod or .deploy>.<cluster>.(k8s|localhost)
 */
#pragma once

#include "base/str.h"

enum name_kind {
    NAME_INVALID, /* not a name of the cluster: `problem` has the reason */
    NAME_SERVICE,
    NAME_ENDPOINT,   /* one endpoint of a service */
    NAME_POD,        /* a pod by name or address */
    NAME_DEPLOYMENT, /* any pod of one; `service` is its name */
    NAME_ADDRESS,    /* name_of_address: the service or pod that has `address` */
    NAME_OUTSIDE,    /* naming_read_outside: a host outside the cluster, in `text` */
    NAME_OWN,        /* a loopback name, an IP literal, or empty: kube-tunnel itself */
};

/* What follows service and namespace in the name. */
enum name_suffix {
    NAME_SUFFIX_NONE,          /* web.shop: two labels, which may be a domain elsewhere */
    NAME_SUFFIX_SVC,           /* .svc, .pod or .deploy */
    NAME_SUFFIX_ZONE,          /* the same and .<zone> */
    NAME_SUFFIX_LOCALHOST,     /* web.shop.localhost */
    NAME_SUFFIX_K8S,           /* .svc.<cluster>.k8s */
    NAME_SUFFIX_SVC_LOCALHOST, /* .svc.localhost and so on */
    NAME_SUFFIX_ALIAS,         /* none of these: an alias (route/naming.h) */
};

#define NAME_MAX_LEN 253
#define NAME_ROOM 256

/* Views point into `text`; do not copy the struct, parse again or use name_copy. */
struct name {
    enum name_kind kind;
    enum name_suffix suffix; /* of all but NAME_OWN */
    struct str service, ns;
    struct str cluster;   /* its label; empty: the cluster of names without a label */
    struct str endpoint;  /* NAME_ENDPOINT: hostname, pod name or dashed address;
                             NAME_POD: pod name or address in its usual form */
    struct str port_name; /* from _port._proto, without the underscore; else empty */
    bool udp;             /* _proto was not tcp */
    const char *problem;  /* static phrase */
    char text[NAME_ROOM]; /* lower case, without the trailing dot */
    char address[48];     /* NAME_POD by address, and NAME_ADDRESS */
};

/* host: without port; may be a bracketed IPv6 literal.  Never fails: ret->kind may be
 * NAME_INVALID. */
void name_parse(struct str host, struct str zone, struct name *ret);
/* The shortest host under localhost that names this service, for the caller to free;
 * NULL: there is none.  In namespaces called svc or pod <svc>.<ns>.localhost names
 * something else. */
char *name_under_localhost(const char *service, const char *ns, struct str zone);
void name_copy(struct name *to, const struct name *from);

/* An IPv4 or IPv6 literal, with or without brackets, that is not loopback.  False: host
 * is not one, and *ret is not written. */
bool name_of_address(struct str host, struct name *ret);
/* The name of the service or pod that was found for an address; false: it is too long. */
bool name_of_owner(const char *ns, const char *name, bool is_pod, struct name *ret);

/* "host:port", "[v6]:port", "host".  ret_port 0: none given.
 * ERR_PROTO: empty host with a port, junk after the host, port 0 or above 65535. */
MUST_CHECK enum err authority_split(struct str authority, struct str *ret_host,
                                    uint16_t *ret_port);
