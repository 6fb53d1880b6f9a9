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

/* The target is taken over; the plugins are borrowed, NULL where its user has none. */
struct api *api_create(struct loop *l, struct transfers *t, struct kube_target *target,
                       struct exec_plugins *plugins);
/* Its number, for the log: 0 by default. */
void api_set_cluster(struct api *a, uint16_t cluster);
void api_destroy(struct api *a);
const struct kube_target *api_target(const struct api *a);
/* See struct api_limits; what api_create sets is what the settings have by default. */
void api_limit(struct api *a, const struct api_limits *limits);

/* Of its user; for requests that do not go through here. */
struct credentials *api_credentials(struct api *a);

/* After a 401: put before its text that there were no credentials to show, if so. */
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
    bool background; /* no person waits: see kube/credentials.h */
    void *request;   /* private */
};
/* Set on_object, owner and wake, then call; on_object may not finish the call.
 * path: below the prefix, for instance "/api/v1/namespaces/shop/services/web".  A list is
 * read in pages of 500 and each item goes to on_object; a get calls it once.  When the
 * server loses its place in a list it is read again from the beginning: items may come
 * twice.  ERR_LIMIT: the list is larger than the limits; ERR_THROTTLED: the call's turn did
 * not come within timeout_ms, or the server refused it again and again. */
void api_get(struct api *a, struct api_call *call, const char *path, uint64_t timeout_ms);
void api_list(struct api *a, struct api_call *call, const char *path,
              const char *selector, uint64_t timeout_ms);
/* A POST of a JSON body, for access reviews; the answer goes to on_object. */
void api_post(struct api *a, struct api_call *call, const char *path, const char *body,
              uint64_t timeout_ms);
void api_call_finish(struct api_call *call); /* cancels; idempotent; zeroed accepted */

/* List, then watch for ever: re-list on 410, back off with jitter on failure, honour
 * Retry-After, bookmarks.  Deletions missed meanwhile are reported by the re-list: after
 * API_SYNCED every object not reported since the list began is gone, which the callback
 * learns as API_DELETED before API_SYNCED.  Such an object is only
 * {"metadata":{"namespace","name"}}.  on_event may not close the watch. */
struct api_watch;
struct api_watch_state {
    bool synced;            /* a list has completed at least once */
    bool live;              /* list done and watch connected */
    uint64_t objects;       /* that the list has: those to come as the server counts them,
                               if it does; known while it is read, which wakes, too */
    uint64_t bytes;         /* of their JSON, as far as they have come */
    struct api_error error; /* of the last failure; code OK when live */
};
struct api_watch *api_watch_open(struct api *a, const char *path,
                                 void (*on_event)(void *owner, enum api_event,
                                                  json_t *object),
                                 void *owner, struct task *wake);
const struct api_watch_state *api_watch_state(const struct api_watch *w);
void api_watch_close(struct api_watch *w); /* NULL accepted */
