/* playground/demo.h - the objects that exist at the start
 *
 * The same services as in the tests on a real cluster: shop/web with two pods and named
 * and numbered ports, shop/raw with one port for each behaviour of a TCP server, a
 * headless service, and services without pods.
 */
#pragma once

#include "playground/api/store.h"

void demo_fill(struct store *s);
/* Adds the namespace "many" with a service of that name and its n pods. */
void demo_fill_many(struct store *s, size_t n);

/* A running, ready pod of an app. hostname and subdomain may be NULL. */
json_t *demo_pod(struct store *s, const char *ns, const char *name, const char *app,
                 const char *subdomain);
/* A service from its JSON text (metadata and spec). */
json_t *demo_service(struct store *s, const char *ns, const char *name, const char *spec);
