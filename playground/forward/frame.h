/* playground/forward/frame.h - a frame that the reader queues for a worker */
#pragma once

#include "base/bufq.h"
#include "base/list.h"
#include "wire/spdy.h"

#define REQUEST_ID_MAX 64

/* What a SYN_STREAM requests. */
struct stream_wish {
    bool valid, error; /* error: the error stream of its pair, else the data stream */
    uint16_t port;
    char request[REQUEST_ID_MAX];
};

struct frame {
    struct list_node node;
    struct spdy_head head;
    struct spdy_control control; /* without its header block */
    struct stream_wish wish;
    struct bufq payload;
};

struct frame *frame_create(const struct spdy_head *head, struct chunk_pool *pool);
void frame_destroy(struct frame *f); /* NULL accepted */
