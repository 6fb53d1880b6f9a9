/* admin/admin.h - kube-tunnel's own pages: help, health, metrics, proxy settings
 *
 * They are served only for kube-tunnel's own names (loopback, an address): a request for
 * /healthz of a service goes to the service.
 */
#pragma once

#include "base/str.h"

struct admin;
struct clusters;

/* The clusters are borrowed and outlive it. */
struct admin *admin_create(struct clusters *clusters, const char *cluster_domain);
void admin_set_zone(struct admin *a,
                    /* replaces the domain given at creation */
                    const char *cluster_domain);
void admin_destroy(struct admin *a); /* NULL accepted */

struct admin_page {
    int status;
    const char *type;  /* Content-Type */
    const char *allow; /* the field Allow of a 405; or NULL */
    char *text;        /* owned by the caller */
};

struct admin_request {
    struct str method, path; /* `path` without its query */
    struct str authority;    /* of Host, as the client wrote it; may be empty */
};

/* A HEAD gets the page of the GET. */
void admin_answer(struct admin *a, const struct admin_request *r, struct admin_page *ret);
