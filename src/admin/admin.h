/* admin/admin.h - our own pages: help, health, metrics, proxy settings
 *
 * Used only for requests to our own names (loopback, an address): a service's /healthz
 * stays the service's.
 */
#pragma once

#include "base/str.h"

struct admin;
struct clusters;

/* The clusters are borrowed and outlive it. */
struct admin *admin_create(struct clusters *clusters, const char *cluster_domain);
void admin_set_zone(struct admin *a,
                    const char *cluster_domain); /* instead of the one at creation */
void admin_destroy(struct admin *a);             /* NULL accepted */

struct admin_page {
    int status;
    const char *type;  /* Content-Type */
    const char *allow; /* of a 405; or NULL */
    char *text;        /* owned by the caller */
};

struct admin_request {
    struct str method, path; /* `path` without its query */
    struct str authority;    /* of Host, as the client wrote it; may be empty */
};

/* A HEAD gets the page of the GET. */
void admin_answer(struct admin *a, const struct admin_request *r, struct admin_page *ret);
