/* forward/lookup.c - from a target to one pod, by calls to the API server */
#include "forward/lookup.h"

#include "base/own.h"
#include "catalog/selector.h"

#define CALL_MS 30000

static void add_pod(struct forward_lookup *l, json_t *object)
{
    struct candidate c;
    struct diag unused = { "" };

    if (candidate_read(object, &c, &unused))
        return;
    if (candidate_is_better(&c, &l->pod, l->current)) {
        candidate_finish(&l->pod);
        l->pod = c;
    } else {
        candidate_finish(&c);
    }
}

static void on_pod(void *owner, json_t *object)
{
    add_pod(owner, object);
}

static void on_object(void *owner, json_t *object)
{
    struct forward_lookup *l = owner;

    json_decref(l->object);
    l->object = json_incref(object);
}

static void call(struct forward_lookup *l, void (*on)(void *owner, json_t *object))
{
    l->call = (struct api_call){
        .result = ERR_AGAIN, .on_object = on, .owner = l, .wake = &l->answered
    };
}

static void list_pods(struct forward_lookup *l)
{
    AUTO_FREE char *path = forward_kind_path(FORWARD_POD, l->ns, "");

    l->listing = true;
    call(l, on_pod);
    api_list(l->api, &l->call, path, l->selector, CALL_MS);
}

static void get_object(struct forward_lookup *l)
{
    AUTO_FREE char *path = forward_kind_path(l->spec->kind, l->ns, l->spec->name);

    call(l, l->spec->kind == FORWARD_POD ? on_pod : on_object);
    api_get(l->api, &l->call, path, CALL_MS);
}

/* Services and ReplicationControllers have labels, the others rules. */
static char *selector_of(enum forward_kind kind, const json_t *object)
{
    const json_t *selector = json_object_get(json_object_get(object, "spec"), "selector");

    return kind == FORWARD_SERVICE || kind == FORWARD_CONTROLLER
               ? selector_of_labels(selector)
               : selector_of_rules(selector);
}

static void conclude(struct forward_lookup *l, enum err e)
{
    l->result = l->error.code = e;
    task_wake(l->wake);
}

static void refuse_object(struct forward_lookup *l)
{
    const char *kind = forward_kind_name(l->spec->kind);

    diag_set(&l->error.why, ERR_CONFIG,
             "cannot attach to %s: invalid %s '%s': it is defined without a selector",
             kind, kind, l->spec->name);
    conclude(l, ERR_CONFIG);
}

static void on_answer(struct task *t)
{
    struct forward_lookup *l = container_of(t, struct forward_lookup, answered);
    enum err e = l->call.result;

    if (e == ERR_AGAIN)
        return;
    l->error = l->call.error;
    api_call_finish(&l->call);
    if (e || l->listing || l->spec->kind == FORWARD_POD) {
        conclude(l, e);
        return;
    }
    l->selector = selector_of(l->spec->kind, l->object);
    if (l->spec->kind == FORWARD_SERVICE)
        l->service = json_incref(l->object);
    if (l->selector)
        list_pods(l);
    else
        refuse_object(l);
}

void forward_lookup_start(struct forward_lookup *l, struct sched *sched, struct api *api,
                          const struct forward_spec *spec, const char *ns,
                          const char *current, struct task *wake)
{
    forward_lookup_finish(l);
    *l = (struct forward_lookup){ .result = ERR_AGAIN,
                                  .spec = spec,
                                  .ns = ns,
                                  .current = current,
                                  .api = api,
                                  .wake = wake };
    task_init(&l->answered, sched, RANK_WORK, on_answer);
    if (spec->kind == FORWARD_SELECTOR) {
        l->selector = xstrdup(spec->name);
        list_pods(l);
    } else {
        get_object(l);
    }
}

const char *forward_lookup_selector(const struct forward_lookup *l)
{
    return l->selector;
}

void forward_lookup_finish(struct forward_lookup *l)
{
    if (!l->wake)
        return;
    api_call_finish(&l->call);
    task_cancel(&l->answered);
    candidate_finish(&l->pod);
    json_decref(l->service);
    json_decref(l->object);
    free(l->selector);
    *l = (struct forward_lookup){ 0 };
}
