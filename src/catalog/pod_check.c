#include "catalog/pod_check.h"

#include <jansson.h>
#include <string.h>

#include "base/own.h"

#define CALL_MS 10000

static void on_check_pod(void *owner, json_t *object)
{
    struct pod_check *c = owner;
    const json_t *metadata = json_object_get(object, "metadata");
    const char *uid = json_string_value(json_object_get(metadata, "uid"));

    c->found = uid && (!*c->uid || strcmp(uid, c->uid) == 0);
}

/* A 404 without a metav1.Status comes from a proxy, not from the API server. */
static enum err result_of(const struct pod_check *c)
{
    if (c->call.result == OK)
        return c->found ? OK : ERR_NOT_FOUND;
    if (c->call.result == ERR_NOT_FOUND && !c->call.error.is_status)
        return ERR_UNAVAILABLE;
    return c->call.result;
}

static void on_check_answer(struct task *task)
{
    struct pod_check *c = container_of(task, struct pod_check, answered);

    c->result = result_of(c);
    if (c->result == ERR_AGAIN)
        return;
    api_call_finish(&c->call);
    task_wake(c->wake);
}

void pod_check_start(struct pod_check *c, struct sched *sched, struct api *api,
                     const char *ns, const char *name, const char *uid, struct task *wake)
{
    AUTO_FREE char *path = xasprintf("/api/v1/namespaces/%s/pods/%s", ns, name);

    pod_check_finish(c);
    c->result = ERR_AGAIN;
    c->wake = wake;
    c->uid = uid;
    c->found = false;
    task_init(&c->answered, sched, RANK_WORK, on_check_answer);
    c->call = (struct api_call){
        .result = ERR_AGAIN, .on_object = on_check_pod, .owner = c, .wake = &c->answered
    };
    api_get(api, &c->call, path, CALL_MS);
}

void pod_check_finish(struct pod_check *c)
{
    if (!c->wake)
        return;
    api_call_finish(&c->call);
    task_cancel(&c->answered);
    c->wake = NULL;
}
