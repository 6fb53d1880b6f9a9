/* tests/unit/catalog/fake_api.h - a fake of kube/api.c, whose calls the test answers
 *
 * Linked instead of kube/api.c.  Calls wait until the test answers them; watches report
 * the events that the test sends.  JSON is written with ' for ".
 */
#pragma once

#include "kube/api.h"

json_t *fake_json(const char *text); /* the test fails when it is not JSON */

struct api *fake_create(void);
void fake_destroy(struct api *a); /* asserts that no call and no watch is left */

/* Calls that wait for this path (with selector, if not NULL), and calls ever made. */
size_t fake_waiting(struct api *a, const char *path);
size_t fake_call_count(struct api *a);
const char *fake_selector(struct api *a, const char *path);
/* Answer the oldest call for the path: with objects (a NULL ends them), or a failure. */
void fake_answer(struct api *a, const char *path, const char *const objects[]);
void fake_refuse(struct api *a, const char *path, enum err code, const char *why);

bool fake_watches(struct api *a, const char *path);
void fake_event(struct api *a, const char *path, enum api_event event,
                const char *object);
/* the list was received, the watch not yet */
void fake_listed(struct api *a, const char *path);
void fake_live(struct api *a, const char *path);
void fake_sized(struct api *a, const char *path,
                uint64_t objects); /* *objects: received so far, plus those to come */
size_t fake_watch_count(struct api *a);
void fake_broken(struct api *a, const char *path, enum err code, const char *why);
/* Like fake_broken and fake_refuse, but the answer is a proxy's: it has no Status
 * object. */
void fake_proxied(struct api *a, const char *path, enum err code);
void fake_refuse_proxied(struct api *a, const char *path, enum err code);
