/* catalog/endpoint.h - make the endpoints and services that other folders read
 *
 * Private to catalog/.
 */
#pragma once

#include "catalog/objects.h"

/* A deep copy in one block of memory, with one reference.  Its key and rank are made from ns,
 * pod and uid, unless `from` has a key; it takes over the reference to the ports. */
struct endpoint *endpoint_pack(const struct endpoint *from);
/* A service without endpoints that shares the spec's texts and ports. */
struct service *service_create(const struct service_spec *spec);
void service_add_endpoint(struct service *s, struct endpoint *e); /* owns `e` then */

/* "NS/POD/UID" */
#define ENDPOINT_KEY_ROOM 640
struct str endpoint_key(const char *ns, const char *pod, const char *uid,
                        char room[static ENDPOINT_KEY_ROOM]);
uint32_t endpoint_rank(struct str key);
int endpoint_preference(const struct endpoint *e); /* 0 is the best */
/* To sort endpoints: ready, then not ready, then terminating; within these by rank. */
int endpoint_order(const struct endpoint *a, const struct endpoint *b);

/* Index of an array of endpoints by key.  It does not copy the keys; `rank` is
 * endpoint_rank(key). */
struct endpoint_index {
    uint32_t *slots; /* place in the array + 1; 0: empty */
    size_t capacity, count;
};
void endpoint_index_finish(struct endpoint_index *x);
/* The place; SIZE_MAX: it is not there. */
size_t endpoint_index_find(const struct endpoint_index *x,
                           struct endpoint *const *endpoints, struct str key,
                           uint32_t rank);
/* The endpoint at that place, which is not there yet. */
void endpoint_index_add(struct endpoint_index *x, struct endpoint *const *endpoints,
                        size_t place);
