/* playground/api/object.h - access to fields of Kubernetes objects
 *
 * Objects are jansson trees, immutable once they are in the store.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Follow keys to the end ("metadata", "name", NULL); NULL when a step is missing. */
const json_t *object_at(const json_t *object, ...) __attribute__((sentinel));

const char *object_name(const json_t *object);      /* "" when missing */
const char *object_namespace(const json_t *object); /* "" when missing */
const char *object_uid(const json_t *object);
const json_t *object_labels(const json_t *object); /* may be NULL */
uint64_t object_revision(const json_t *object);

bool pod_ready(const json_t *pod);
bool pod_terminating(const json_t *pod);

/* "2026-11-23T08:00:00Z" and back (0: not a time). */
#define TIME_TEXT 32
void time_text(time_t t, char out[static TIME_TEXT]);
time_t time_parse(const char *text);
