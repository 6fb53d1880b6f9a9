#include "playground/pods/pod.h"

#include "base/own.h"

void pod_connection_init(struct pod_connection *c, struct loop *l, struct pod *pod,
                         struct stream *stream, void (*run)(struct task *),
                         void (*destroy)(struct pod_connection *))
{
    c->pod = pod;
    c->stream = stream;
    c->destroy = destroy;
    task_init(&c->work, loop_sched(l), RANK_WORK, run);
    stream->wake = &c->work;
    list_append(&pod->connections, &c->node);
    task_wake(&c->work);
}

void pod_connection_finish(struct pod_connection *c)
{
    task_cancel(&c->work);
    list_remove(&c->node);
    stream_close(c->stream);
}
