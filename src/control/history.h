/* control/history.h - the last requests that were observed, to be sent again
 *
 * They are kept as the client sent them, credentials included, and only in memory; nothing
 * returns them.  At most HISTORY_MAX requests and HISTORY_BYTES are kept, each for
 * HISTORY_MS.  Private to control/.
 */
#pragma once

#include "base/list.h"
#include "base/log.h"
#include "base/sched.h"
#include "base/json_text.h"

#define HISTORY_MAX 500
#define HISTORY_BYTES (4u << 20)
#define HISTORY_MS (10 * 60 * 1000)

struct request_event;

struct kept_request {
    struct list_node node;
    struct log_id id;
    uint64_t at; /* sched ms */
    uint16_t listener;
    bool loopback;
    const char *incomplete; /* why it cannot be sent again; static; NULL: it can */
    struct str name;        /* of an exposed port: the service; else empty */
    uint16_t port;          /* of that service; 0: the default */
    struct str head;        /* as it was received, in the form of HTTP/1 */
    struct str body;
    size_t size, room; /* of `bytes`: used, and there */
    char bytes[];      /* what the three views point to */
};

struct history {
    struct sched *sched;
    struct list_node requests; /* oldest first */
    size_t count, bytes;
    struct timer expire;
};

void history_init(struct history *h, struct sched *sched);
void history_finish(struct history *h);
void history_add(struct history *h, const struct request_event *e);
/* It as a request to be sent to kube-tunnel, on a connection of its own.  *ret_method is a view
 * of it.  ERR_PROTO, ERR_LIMIT: its head cannot be parsed again. */
MUST_CHECK enum err history_write(const struct kept_request *k, struct json_out *ret,
                                  struct str *ret_method);
/* "s41.3"; NULL: it is not there.  Valid until the next call. */
const struct kept_request *history_find(const struct history *h, struct str id);
