#include "tunnel/waiting.h"

void waiting_add(struct pod_tunnels *p, struct opening *o)
{
    o->private = p;
    list_append(&p->waiting, &o->waiting);
    usage_on_waiting(&p->usage, o->alone, p->owner->sched->now);
}

void waiting_remove(struct opening *o)
{
    struct pod_tunnels *p = o->private;

    list_remove(&o->waiting);
    usage_on_served(&p->usage, o->alone);
}

void waiting_set_failure(struct opening *o, const struct api_error *error)
{
    o->error = *error;
    o->result = error->code ? error->code : ERR_UNAVAILABLE;
}

void waiting_fail_first(struct pod_tunnels *p, const struct api_error *error)
{
    struct opening *o = list_first(&p->waiting, struct opening, waiting);

    waiting_remove(o);
    waiting_set_failure(o, error);
    task_wake(o->wake);
}

void waiting_fail_all(struct pod_tunnels *p, const struct api_error *error)
{
    while (!list_empty(&p->waiting))
        waiting_fail_first(p, error);
}
