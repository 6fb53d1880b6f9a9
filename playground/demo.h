/* playground/demo.h - the objects that are there from the start
 *
 * The same services as in the tests on a real cluster: shop/web with two pods behind
 * named and numbered ports, shop/raw with one port for each way to behave, a headless
 * set, and services that nothing stands behind.
 */
#pragma once

#include "playground/api/store.h"

void demo_fill(struct store *s);
/* Namespace "many": a service of that name, and n pods behind it. */
void demo_fill_many(struct store *s, size_t n);

/* A running, ready pod of an app. hostname and subdomain may be NULL. */
json_t *demo_pod(struct store *s, const char *ns, const char *name, const char *app,
                 const char *subdomain);
/* A service from its JSON text (metadata and spec). */
json_t *demo_service(struct store *s, const char *ns, const char *name, const char *spec);
