/* kube/reply.h - one request to the API server and its response, object by object
 *
 * Private to kube/.  Uses a transfer, and is used by calls and watches: they read objects with
 * reply_next until it returns ERR_AGAIN and are woken when there may be more.
 */
#pragma once

#include "kube/api_state.h"
#include "wire/json_items.h"

#define OBJECT_MAX (4u << 20) /* etcd refuses objects half that size */

enum reply_mode { REPLY_OBJECT, REPLY_LIST, REPLY_WATCH };

struct reply {
    struct api *api;
    enum reply_mode mode;
    char *method, *path, *body;
    uint64_t deadline; /* 0: none */
    struct task *wake;

    struct credentials_want want;  /* its `background` is set before, and kept */
    struct credential *credential; /* it was sent with this one; NULL: not sent yet */
    struct timer late;             /* at the deadline, while it waits for one */
    struct transfer *transfer;     /* NULL: not open */
    struct json_items *items;      /* lists and watches */
    char *text;                    /* an object, or the text of an error */
    size_t len;
    size_t object_len; /* of the JSON of the object that was returned last */
    bool delivered;    /* REPLY_OBJECT: it was handed out */
    bool retried;      /* after a 401, with another credential */

    struct api_error error; /* of the failure reply_next returned */
};

/* `path` with its query; `timeout_ms` 0: none.  The reply must be zeroed or finished. */
void reply_open(struct reply *r, struct api *a, enum reply_mode mode, const char *method,
                const char *path, const char *body, uint64_t timeout_ms,
                struct task *wake);
void reply_finish(struct reply *r); /* cancels; idempotent; zeroed accepted */

/* Was the header of a successful response received? */
bool reply_good(const struct reply *r);

/* OK         *ret_object is the next object, owned by the caller
 * ERR_AGAIN  wait for `wake`
 * ERR_EOF    the answer is complete
 * else       it failed: r->error, which has this code */
MUST_CHECK enum err reply_next(struct reply *r, enum json_piece *ret_kind,
                               json_t **ret_object);
