/* tests/unit/catalog/fake_api.h - an API server that answers what the test wants, when it
 * wants
 *
 * Stands in for kube/api.c at link time.  Calls wait until the test answers them; watches
 * report what the test scripts.  JSON is written with ' for ".
 */
#pragma once

#include "kube/api.h"

json_t *fake_json(const char *text); /* the test fails when it is not JSON */

struct api *fake_create(void);
void fake_destroy(struct api *a); /* asserts that no call and no watch is left */

/* Calls that wait for this path (with selector, if not NULL), and calls ever made. */
size_t fake_waiting(struct api *a, const char *path);
size_t fake_asked(struct api *a);
const char *fake_selector(struct api *a, const char *path);
/* Answer the oldest call for the path: with objects (a NULL ends them), or a failure. */
void fake_answer(struct api *a, const char *path, const char *const objects[]);
void fake_refuse(struct api *a, const char *path, enum err code, const char *why);

bool fake_watches(struct api *a, const char *path);
void fake_tell(struct api *a, const char *path, enum api_event event, const char *object);
void fake_listed(struct api *a, const char *path); /* the list is in, the watch is not */
void fake_live(struct api *a, const char *path);
void fake_sized(struct api *a, const char *path,
                uint64_t objects); /* so far, and to come */
size_t fake_watch_count(struct api *a);
void fake_broken(struct api *a, const char *path, enum err code, const char *why);
/* The same, and fake_refuse, by a proxy on the way: no Status of the API server. */
void fake_proxied(struct api *a, const char *path, enum err code);
void fake_refuse_proxied(struct api *a, const char *path, enum err code);
