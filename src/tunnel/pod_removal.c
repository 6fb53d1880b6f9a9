#include "tunnel/pod_removal.h"

#include "base/own.h"

struct pod_removal {
    struct sched *sched;
    struct api *api;
    const char *ns, *name, *uid;
    void (*on_gone)(void *owner);
    void *owner;
    struct pod_check check;
    struct task checked;
    struct timer due;
};

static void on_due(struct timer *timer)
{
    struct pod_removal *r = container_of(timer, struct pod_removal, due);
    pod_check_start(&r->check, r->sched, r->api, r->ns, r->name, r->uid, &r->checked);
}

static void on_checked(struct task *task)
{
    struct pod_removal *r = container_of(task, struct pod_removal, checked);

    if (r->check.result == ERR_NOT_FOUND)
        r->on_gone(r->owner);
    else
        timer_set(&r->due, POD_REMOVAL_MS);
}

struct pod_removal *pod_removal_create(struct sched *sched, struct api *api,
                                       const char *ns, const char *name, const char *uid,
                                       void (*on_gone)(void *owner), void *owner)
{
    struct pod_removal *r = xcalloc(1, sizeof(*r));

    *r = (struct pod_removal){ .sched = sched,
                               .api = api,
                               .ns = ns,
                               .name = name,
                               .uid = uid,
                               .on_gone = on_gone,
                               .owner = owner };
    task_init(&r->checked, sched, RANK_WORK, on_checked);
    timer_init(&r->due, sched, on_due);
    timer_set(&r->due, POD_REMOVAL_MS);
    return r;
}

void pod_removal_destroy(struct pod_removal *r)
{
    if (!r)
        return;
    pod_check_finish(&r->check);
    task_cancel(&r->checked);
    timer_stop(&r->due);
    free(r);
}
