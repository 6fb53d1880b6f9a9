/* catalog/objects.h - the Kubernetes objects we read, as plain structs
 *
 * From parsed JSON to structs, with only the fields that are used.  A missing field has
 * its documented default; one of the wrong type makes the object ERR_PROTO.  Lists are cut at
 * the limits below, and left_out counts the rest, so that the memory for an object is bounded.
 * Where the API server has a limit, ours is not lower: it allows 20,000 ports and 1,000
 * endpoints in an EndpointSlice (pkg/apis/discovery/validation).
 */
#pragma once

#include <jansson.h>

#include "base/map.h"
#include "base/err.h"
#include "base/str.h"
#include "catalog/service.h"

#define PORTS_MAX 20000
#define SLICE_ENDPOINTS_MAX 5000
#define PODS_MAX 5000
#define SUBSETS_MAX 1000 /* of Endpoints */
#define POD_IPS_MAX 4

/* Immutable, shared, and one block of memory. */
struct service_spec {
    unsigned refs;
    enum service_kind kind;
    const char *ns, *name;
    uint64_t version; /* hash of resourceVersion; 0: none */
    const char *external_name;
    const char *selector; /* "app=web,tier=front"; NULL: the service has none */
    bool headless, sticky;
    bool not_ready_too; /* publishNotReadyAddresses */
    const struct service_port *ports;
    size_t port_count;
    size_t left_out; /* ports beyond PORTS_MAX */
};

struct slice_port {
    const char *name; /* of the service's port; "" when unnamed */
    uint16_t number;  /* the container's port; 0: any */
    bool tcp;
};

/* The pod is in the slice's namespace. */
struct slice_endpoint {
    const char *pod, *uid; /* pod NULL: the slice names none, at most an address */
    const char *ip, *node, *hostname;
    bool ready, serving, terminating;
    bool address_only; /* it has no targetRef */
};

/* Immutable but for the owner, and one block of memory. */
struct slice {
    const char *ns, *name;
    const char *key;      /* "ns/name", which ends in the name */
    struct record *owner; /* that has it in its list; private to feed.c */
    const char *service;  /* name of its service; NULL: it has none */
    uint64_t version;
    const struct slice_port *ports;
    size_t port_count;
    const struct slice_endpoint *endpoints;
    size_t endpoint_count;
    size_t left_out; /* endpoints beyond SLICE_ENDPOINTS_MAX */
};

struct container_port {
    char *name;
    uint16_t number;
    bool tcp;
};

struct pod {
    char *ns, *name, *uid, *node, *hostname, *subdomain;
    char *key;              /* see struct endpoint */
    char *ips[POD_IPS_MAX]; /* the first is the primary one; NULL after the last */
    char *phase;            /* "Running", "Pending", ... */
    char *reason;           /* why it is not running or ready, or NULL */
    bool ready, terminating;
    bool host_network;            /* its addresses are the node's */
    struct container_port *ports; /* containers first, then initContainers; name: or "" */
    size_t port_count;
};

bool pod_has_address(const struct pod *p, const char *address);
/* Is this an address, and not the name of a pod? */
bool is_pod_address(const char *pod);

/* Can it be used in a path of the API without escaping? */
bool is_plain_name(struct str s);

/* Arrays that own their elements.  Most services have one slice, which needs no array. */
struct slice_list {
    struct slice *first;
    struct slice **others;
    size_t count;
    struct map *places; /* by name: index + 1; once there are many */
};
static inline struct slice *slice_list_at(const struct slice_list *l, size_t i)
{
    return i ? l->others[i - 1] : l->first;
}
struct pod_list {
    struct pod **at;
    size_t count;
    size_t left_out; /* pods beyond PODS_MAX */
};

/* *ret is owned by the caller and written only on OK. */
MUST_CHECK enum err spec_parse(const json_t *object, struct service_spec **ret,
                               struct diag *why);
MUST_CHECK enum err slice_parse(const json_t *object, struct slice **ret,
                                struct diag *why);
/* The Endpoints of a service, converted to slices: one for each subset.  *ret, *ret_ns and
 * *ret_name are the caller's. */
MUST_CHECK enum err endpoints_parse(const json_t *object, struct slice_list *ret,
                                    char **ret_ns, char **ret_name, struct diag *why);
MUST_CHECK enum err pod_parse(const json_t *object, struct pod **ret, struct diag *why);
struct service_spec *spec_ref(const struct service_spec *s);
void spec_unref(struct service_spec *s); /* NULL accepted, here and below */
struct str slice_set_key(const void *slice);
void slice_destroy(struct slice *s);
void pod_destroy(struct pod *p);

/* Deep copies in one block of memory; the spec has one reference. */
struct service_spec *spec_pack(const struct service_spec *from);
struct slice *slice_pack(const struct slice *from);

void slice_list_add(struct slice_list *l, struct slice *s); /* owns `s` then */
/* Add, or replace the one of the same name; false: the list has this version already, and `s`
 * was freed. */
bool slice_list_put(struct slice_list *l, struct slice *s);
bool slice_list_remove(struct slice_list *l, const char *name);
void slice_list_finish(struct slice_list *l);         /* empty afterwards, and usable */
void pod_list_add(struct pod_list *l, struct pod *p); /* owns `p` then */
void pod_list_finish(struct pod_list *l);
