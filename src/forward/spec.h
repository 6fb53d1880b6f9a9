/* forward/spec.h - what a port-forward leads to, as a person writes it
 *
 * TYPE/NAME or a selector, and ports; from the words of a command line or from a file.  Pure:
 * whether such an object exists is not known yet, nor which number a port's name stands for.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "base/texts.h"

#define FORWARD_PORTS_MAX 64 /* of one target */
#define FORWARD_TARGETS_MAX 64
#define FORWARD_ADDRESSES_MAX 16

/* What has pods.  SELECTOR: no object, pods are found by labels. */
enum forward_kind {
    FORWARD_POD,
    FORWARD_SERVICE,
    FORWARD_CONTROLLER, /* a ReplicationController */
    FORWARD_DEPLOYMENT,
    FORWARD_REPLICASET,
    FORWARD_STATEFULSET,
    FORWARD_DAEMONSET,
    FORWARD_JOB,
    FORWARD_SELECTOR,
};

/* "deployment", as in deployment/web; of SELECTOR: "selector". */
const char *forward_kind_name(enum forward_kind kind);
/* The path of an object of this kind in the API, owned by the caller.  name "": of all. */
char *forward_kind_path(enum forward_kind kind, const char *ns, const char *name);
/* Finds the kind of a word as kubectl accepts it: "deploy", "Deployments",
 * "deployments.apps", "deployments.v1.apps".  False: none has pods. */
bool forward_kind_find(struct str word, enum forward_kind *ret);
/* The kinds by their usual names, from 0; NULL: there are no more. */
const char *forward_kind_at(size_t i);

/* [LOCAL:]REMOTE. */
struct forward_port {
    char *remote;    /* a number or a name; owned */
    bool same;       /* the local port has the number of the remote one */
    uint16_t local;  /* else; 0: a free port is chosen */
    uint16_t number; /* of remote, if it is no name; else 0 */
};

struct forward_spec {
    enum forward_kind kind;
    char *name;   /* of the object, or the selector; owned, like the next ones */
    char *ns;     /* NULL: that of the command line or the kubeconfig */
    char *origin; /* "team.yaml:3", for errors; NULL: the command line */
    struct texts addresses; /* to listen on: IP addresses, or "localhost"; not empty */
    struct forward_port *ports;
    size_t port_count; /* not 0 */
};

void forward_spec_finish(struct forward_spec *s); /* zeroed accepted */

struct forward_specs {
    struct forward_spec *at;
    size_t count;
};
void forward_specs_finish(struct forward_specs *s); /* zeroed accepted */
/* Adds a zeroed one; valid until the next is added.  NULL: there are too many. */
struct forward_spec *forward_specs_add(struct forward_specs *s);

/* The errors of these are sentences as kubectl's. */
MUST_CHECK enum err forward_port_parse(struct str text, struct forward_port *ret,
                                       struct diag *why);
/* TYPE/NAME, or the name of a pod. */
MUST_CHECK enum err forward_target_parse(struct str text, enum forward_kind *ret_kind,
                                         char **ret_name, struct diag *why);
/* "localhost" or an IP address. */
MUST_CHECK enum err forward_address_check(struct str text, struct diag *why);
/* Adds the elements of "localhost,10.0.0.1". */
MUST_CHECK enum err forward_addresses_add(struct texts *t, struct str text,
                                          struct diag *why);

/* All words of a command line: "svc/web 8080:80 pod/db-0 5432".  A word with a slash begins
 * the next target, because no port has one.  With a selector (else NULL) the first ports are
 * its.  No words: no targets.  Addresses are copied to each, "localhost" if there are none. */
MUST_CHECK enum err forward_words_parse(const char *const *words, size_t count,
                                        const char *selector,
                                        const struct texts *addresses,
                                        struct forward_specs *ret, struct diag *why);

/* A file that a team shares, added to *ret:
 *
 *     forwards:
 *       - target: svc/web
 *         ports: [ "8080:80" ]
 *       - selector: app=db
 *         namespace: shop
 *         address: 127.0.0.2
 *         ports: [ 5432 ]
 *
 * Its author may be another person: it names no address but loopback ones, unless `allowed` has
 * them, no context, no file and no program.  Errors begin with "path:line: ". */
MUST_CHECK enum err forward_file_parse(struct str text, const char *path,
                                       const struct texts *allowed,
                                       struct forward_specs *ret, struct diag *why);
