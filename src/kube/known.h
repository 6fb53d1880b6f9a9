/* kube/known.h - which objects a watch has reported, so that it can report those that are gone
 *
 * Private to kube/.  Of each object only a hash of its UID, the number of the list that saw
 * it last and the length of its JSON are kept.
 */
#pragma once

#include <jansson.h>

#include "base/set.h"
#include "kube/api.h"

struct known {
    struct set objects;  /* struct known_object, by "namespace/name" */
    uint64_t bytes;      /* of their JSON */
    uint32_t generation; /* number of the list that is being read */
    void (*on_event)(void *owner, enum api_event, json_t *object);
    void *owner;
};

void known_init(struct known *k,
                void (*on_event)(void *owner, enum api_event, json_t *object),
                void *owner);
void known_finish(struct known *k);

/* The object exists: reports API_ADDED or API_MODIFIED.  If another object had its name (another
 * UID), that one is reported as API_DELETED first. */
void known_learn(struct known *k, json_t *object, size_t bytes);
/* The object was deleted: reports API_DELETED. */
void known_forget(struct known *k, json_t *object);
/* A list is complete: report the objects that it does not contain as API_DELETED. */
void known_drop_older(struct known *k);
