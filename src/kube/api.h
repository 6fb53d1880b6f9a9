/* kube/api.h - calls to one API server: get, paged lists, watches
 *
 * Owns the connection to the server (net/transfer.h), the credentials
 * (kube/credentials.h) and the translation of failures: every error has verb,
 * resource and the server's own reason.  Objects are parsed one at a time (jansson), cut
 * out of the stream by wire/json_items; the callback borrows each for its duration.
 */
#pragma once

#include "base/sched.h"
#include "kube/api_error.h"
#include "kube/limits.h"
#include "kube/target.h"

typedef struct json_t json_t; /* of jansson.h */

struct api;
struct credential;
struct credentials;
struct exec_plugins;
struct loop;
struct transfers;

/* The api owns the target from now on; the plugins are borrowed, NULL if the target's user has
 * none. */
struct api *api_create(struct loop *l, struct transfers *t, struct kube_target *target,
                       struct exec_plugins *plugins);
/* Set the number of the cluster for the log; 0 by default. */
void api_set_cluster(struct api *a, uint16_t cluster);
void api_destroy(struct api *a);
const struct kube_target *api_target(const struct api *a);
/* Replace the limits; api_create sets the defaults of the settings. */
void api_limit(struct api *a, const struct api_limits *limits);

/* The credentials of the target's user, for requests that tunnels make. */
struct credentials *api_credentials(struct api *a);

/* After a 401: prefix the error's text if the request was sent without credentials. */
void api_explain_refusal(const struct api *a, const struct credential *shown,
                         struct api_error *e);

enum api_event { API_ADDED, API_MODIFIED, API_DELETED, API_SYNCED /* object is NULL */ };

/* One get or list.  The struct is the caller's. */
struct api_call {
    enum err result; /* ERR_AGAIN: under way */
    struct api_error error;
    void (*on_object)(void *owner, json_t *object); /* borrowed for the call */
    void *owner;
    struct task *wake;
    bool background; /* no client waits for it: see kube/credentials_want.h */
    void *request;   /* private */
};
/* Set on_object, owner and wake, then call; on_object may not finish the call.
 * path: below the prefix, for instance "/api/v1/namespaces/shop/services/web".  A list is
 * read in pages of 500 and each item is passed to on_object; a get calls it once.  When a
 * continue token has expired (410) the list is read again from the beginning, and items may be
 * passed twice.  ERR_LIMIT: the list is larger than the limits; ERR_THROTTLED: the rate limit
 * did not allow the call within timeout_ms, or the server refused it repeatedly. */
void api_get(struct api *a, struct api_call *call, const char *path, uint64_t timeout_ms);
void api_list(struct api *a, struct api_call *call, const char *path,
              const char *selector, uint64_t timeout_ms);
/* A POST of a JSON body, for access reviews; the response is passed to on_object. */
void api_post(struct api *a, struct api_call *call, const char *path, const char *body,
              uint64_t timeout_ms);
void api_call_finish(struct api_call *call); /* cancels; idempotent; zeroed accepted */

/* List, then watch for ever: re-list on 410, back off with jitter on failure, honour
 * Retry-After, use bookmarks.  Deletions missed while no watch was connected are found by the
 * re-list and reported as API_DELETED before API_SYNCED, with an object that has only
 * {"metadata":{"namespace","name"}}.  on_event may not close the watch. */
struct api_watch;
struct api_watch_state {
    bool synced;            /* a list has completed at least once */
    bool live;              /* list done and watch connected */
    uint64_t objects;       /* number of objects; while a list is read with those that the
                               server counts as remaining; a change wakes, too */
    uint64_t bytes;         /* of the JSON received for them */
    struct api_error error; /* of the last failure; code OK when live */
};
struct api_watch *api_watch_open(struct api *a, const char *path,
                                 void (*on_event)(void *owner, enum api_event,
                                                  json_t *object),
                                 void *owner, struct task *wake);
const struct api_watch_state *api_watch_state(const struct api_watch *w);
void api_watch_close(struct api_watch *w); /* NULL accepted */
