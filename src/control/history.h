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
#include "control/json_text.h"

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
    struct str method;      /* the first word of `text` */
    const char *incomplete; /* why it cannot be sent again; static; NULL: it can */
    size_t len;
    char text[]; /* a whole request in HTTP/1, body included */
};

struct history {
    struct sched *sched;
    struct list_node requests; /* oldest first */
    size_t count, bytes;
    struct timer expire;
    struct json_out scratch;
};

void history_init(struct history *h, struct sched *sched);
void history_finish(struct history *h);
void history_add(struct history *h, const struct request_event *e);
/* "s41.3"; NULL: it is not there.  Valid until the next call. */
const struct kept_request *history_find(const struct history *h, struct str id);
