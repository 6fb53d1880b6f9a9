#include "tunnel/pod_removal.h"

#include "base/log.h"
#include "base/own.h"

LOG_MODULE(tunnel);

#define CALL_MS 10000

struct pod_removal {
    struct pod *pod;
    struct api *api;
    struct api_call call;
    struct task answered;
    struct timer due;
    bool still_there; /* the answer has a pod with this name and UID */
};

static void on_pod(void *owner, json_t *object)
{
    struct pod_removal *f = owner;
    const json_t *metadata = json_object_get(object, "metadata");
    const char *uid = json_string_value(json_object_get(metadata, "uid"));
    /* "": where a slice does not say it, any UID will do */
    f->still_there = uid && (!*f->pod->uid || strcmp(uid, f->pod->uid) == 0);
}

static void on_due(struct timer *timer)
{
    struct pod_removal *f = container_of(timer, struct pod_removal, due);
    AUTO_FREE char *path =
        xasprintf("/api/v1/namespaces/%s/pods/%s", f->pod->ns, f->pod->name);

    api_call_finish(&f->call);
    f->still_there = false;
    f->call = (struct api_call){
        .result = ERR_AGAIN, .on_object = on_pod, .owner = f, .wake = &f->answered
    };
    api_get(f->api, &f->call, path, CALL_MS);
}

static void on_answer(struct task *task)
{
    struct pod_removal *f = container_of(task, struct pod_removal, answered);
    enum err e = f->call.result;
    bool gone =
        (e == OK && !f->still_there) || (e == ERR_NOT_FOUND && f->call.error.is_status);

    if (e == ERR_AGAIN)
        return;
    api_call_finish(&f->call);
    if (gone)
        pod_close_tunnels(f->pod, ERR_GONE, "the pod is gone"); /* and us with it */
    else
        timer_set(&f->due, POD_REMOVAL_MS);
}

struct pod_removal *pod_removal_create(struct pod *p)
{
    struct pod_removal *f = xcalloc(1, sizeof(*f));
    const struct tunnel *any = list_first(&p->tunnels, struct tunnel, in_pod);

    f->pod = p;
    f->api = any->origin->api;
    task_init(&f->answered, any->step.sched, RANK_WORK, on_answer);
    timer_init(&f->due, any->step.sched, on_due);
    timer_set(&f->due, POD_REMOVAL_MS);
    return f;
}

void pod_removal_destroy(struct pod_removal *f)
{
    if (!f)
        return;
    api_call_finish(&f->call);
    task_cancel(&f->answered);
    timer_stop(&f->due);
    free(f);
}
