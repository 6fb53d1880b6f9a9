#include "playground/forward/state.h"

#include "base/own.h"
#include "playground/forward/spdy_server.h"

/* Streams. */

static struct list_node *bucket_of(struct session *s, uint32_t id)
{
    return &s->streams[id / 2 % STREAM_BUCKETS];
}

struct spdy_stream *session_stream(struct session *s, uint32_t id)
{
    list_for_each (stream, bucket_of(s, id), struct spdy_stream, node)
        if (stream->id == id)
            return stream;
    return NULL;
}

struct spdy_stream *session_add_stream(struct session *s, uint32_t id)
{
    struct spdy_stream *stream = xcalloc(1, sizeof(*stream));
    stream->id = id;
    stream->consumer = CONSUMER_NONE;
    list_append(bucket_of(s, id), &stream->node);
    return stream;
}

void session_remove_stream(struct spdy_stream *stream)
{
    list_remove(&stream->node);
    free(stream);
}

/* Frames out. */

size_t session_room(const struct session *s)
{
    return s->out.len < SESSION_ROOM ? SESSION_ROOM - s->out.len : 0;
}

void session_put(struct session *s, const void *bytes, size_t n)
{
    bufq_write(&s->out, bytes, n);
    task_wake(&s->flush);
}

void session_put_data(struct session *s, uint32_t id, uint8_t flags, struct bufq *from,
                      size_t n)
{
    uint8_t head[SPDY_HEAD];
    struct bufq frame;

    spdy_data_head_encode(id, flags, (uint32_t)n, head);
    bufq_init(&frame, from->pool, SIZE_MAX);
    bufq_move_n(&frame, from, n);
    memcpy(bufq_prepend(&frame, sizeof(head)), head, sizeof(head));
    bufq_move(&s->out, &frame);
    task_wake(&s->flush);
}

void session_put_reply(struct session *s, uint32_t id)
{
    uint8_t bytes[SPDY_SYN_REPLY_MAX];
    session_put(s, bytes, spdy_syn_reply_encode(id, !s->replied, bytes));
    s->replied = true;
}

void session_put_reset(struct session *s, uint32_t id, enum spdy_status status)
{
    uint8_t bytes[SPDY_RST_SIZE];
    spdy_rst_encode(id, status, bytes);
    session_put(s, bytes, sizeof(bytes));
}

struct pod *session_pod(const struct session *s)
{
    return pods_find(s->cluster->pods, str_of(s->pod_uid));
}
