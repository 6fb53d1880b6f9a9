/* playground/forward/worker.h - a queue of frames, and whoever works it off */
#pragma once

#include "base/bufq.h"
#include "base/list.h"
#include "wire/spdy.h"

#define WORKERS 5
#define WORKER_QUEUE 50
#define REQUEST_ID_MAX 64

struct session;

/* What a SYN_STREAM asks for. */
struct stream_wish {
    bool valid, error; /* error: the error stream of its pair, else the data stream */
    uint16_t port;
    char request[REQUEST_ID_MAX];
};

struct frame {
    struct list_node node;
    struct spdy_head head;
    struct spdy_control control; /* without its block */
    struct stream_wish wish;
    struct bufq payload;
};

struct frame *frame_create(const struct spdy_head *head, struct chunk_pool *pool);
void frame_destroy(struct frame *f); /* NULL accepted */

struct worker {
    struct list_node queue;
    size_t queued;
    struct frame *hand; /* taken from the queue, not done yet */
    bool stalled;       /* on command */
};

void worker_init(struct worker *w);
void worker_finish(struct worker *w);
/* false: the queue is full, the frame is still the caller's. */
bool worker_queue(struct worker *w, struct frame *f);
/* Work until the queue is empty or a frame cannot be finished now. */
void worker_run(struct worker *w, struct session *s);
