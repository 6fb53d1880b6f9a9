#include "catalog/pod_addresses.h"

#include <stdio.h>

#include "base/own.h"
#include "catalog/note.h"
#include "catalog/objects.h"

#define PODS_KEPT 4096   /* with more, those that nothing waits for are dropped */
#define REFUSED_MS 60000 /* for how long a refused namespace is not tried again */
#define PATH_ROOM 640

/* One pod: the result of the last read, and the callers that wait for one. */
struct known_pod {
    struct pod_addresses *owner;
    struct api_call call;
    struct task task;
    struct pod *pod;  /* NULL: not read, or it could not be */
    uint64_t read_at; /* sched ms; 0: to be read again */
    struct list_node waiting;
    char *ns;
    char key[]; /* the endpoint's */
};

/* A namespace whose pods may not be read. */
struct refused_ns {
    uint64_t until; /* sched ms */
    struct api_error error;
};

struct pod_addresses {
    struct sched *sched;
    struct api *api;
    uint64_t call_ms;
    struct map pods;    /* by key */
    struct map refused; /* by namespace */
};

static void addresses_settle(struct pod_address *a, enum err e)
{
    list_remove(&a->waiting);
    a->result = e;
}

/* ERR_NOT_FOUND: no pod of this UID will serve again, as after a 404. */
static enum err check_pod(const struct endpoint *e, const struct pod *pod,
                          struct diag *why)
{
    if (!e->uid[0])
        return diag_set(why, ERR_ACCESS, "the endpoint of pod %s has no UID", e->pod);
    if (strcmp(pod->uid, e->uid) != 0)
        return diag_set(why, ERR_NOT_FOUND, "pod %s has been replaced", e->pod);
    if (pod_is_over(pod))
        return diag_set(why, ERR_NOT_FOUND, "pod %s has ended", e->pod);
    if (pod->host_network)
        return diag_set(why, ERR_ACCESS, "pod %s uses its node's network", e->pod);
    if (!pod->ips[0])
        return diag_set(why, ERR_UNAVAILABLE, "pod %s has no address", e->pod);
    if (e->ip && !pod_has_address(pod, e->ip))
        return diag_set(why, ERR_ACCESS, "%s is not an address of pod %s", e->ip, e->pod);
    return OK;
}

static void answer_from(const struct known_pod *k, struct pod_address *a)
{
    const struct endpoint *e = a->endpoint;
    enum err result = check_pod(e, k->pod, &a->error.why);

    a->error.code = result;
    a->error.is_status = true; /* authoritative: derived from the API server's object */
    snprintf(a->address, sizeof(a->address), "%s",
             result  ? ""
             : e->ip ? e->ip
                     : k->pod->ips[0]);
    addresses_settle(a, result);
}

static void addresses_fail_with(struct pod_address *a, const struct api_error *error)
{
    a->error = *error;
    addresses_settle(a, error->code);
}

static void note_refusal(struct pod_addresses *p, const char *ns,
                         const struct api_error *error)
{
    struct refused_ns *r = map_get(&p->refused, str_of(ns));

    if (!r) {
        r = xcalloc(1, sizeof(*r));
        map_set(&p->refused, str_of(ns), r);
    }
    r->until = p->sched->now + REFUSED_MS;
    r->error = *error;
}

static void on_addresses_pod(void *owner, json_t *object)
{
    struct known_pod *k = owner;
    struct diag why;
    struct pod *pod;

    if (pod_parse(object, &pod, &why) != OK)
        return;
    pod_destroy(k->pod);
    k->pod = pod;
}

static void on_addresses_answer(struct task *task)
{
    struct known_pod *k = container_of(task, struct known_pod, task);
    struct api_error error = k->call.error;

    if (k->call.result == ERR_AGAIN)
        return;
    error.code = k->call.result ? k->call.result : k->pod ? OK : ERR_PROTO;
    api_call_finish(&k->call);
    k->call = (struct api_call){ 0 };
    if (error.code == OK)
        k->read_at = k->owner->sched->now;
    if (error.code == ERR_FORBIDDEN)
        note_refusal(k->owner, k->ns, &error);
    while (!list_empty(&k->waiting)) {
        struct pod_address *a = list_first(&k->waiting, struct pod_address, waiting);
        if (error.code)
            addresses_fail_with(a, &error);
        else
            answer_from(k, a);
        task_wake(a->wake);
    }
}

static void known_pod_destroy(struct known_pod *k)
{
    api_call_finish(&k->call);
    task_cancel(&k->task);
    pod_destroy(k->pod);
    map_remove(&k->owner->pods, str_of(k->key));
    free(k->ns);
    free(k);
}

static void drop_old(struct pod_addresses *p)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&p->pods, &at));) {
        struct known_pod *k = e->value;
        if (list_empty(&k->waiting) && !k->call.request)
            known_pod_destroy(k);
    }
}

static struct known_pod *known_pod_get(struct pod_addresses *p, const struct endpoint *e)
{
    struct known_pod *k = map_get(&p->pods, str_of(e->key));
    size_t len = strlen(e->key);

    if (k)
        return k;
    if (p->pods.count >= PODS_KEPT)
        drop_old(p);
    k = xcalloc(1, sizeof(*k) + len + 1);
    k->owner = p;
    k->ns = xstrdup(e->ns);
    memcpy(k->key, e->key, len);
    list_init(&k->waiting);
    task_init(&k->task, p->sched, RANK_READ, on_addresses_answer);
    map_set(&p->pods, str_of(k->key), k);
    return k;
}

static void known_pod_read(struct known_pod *k, const char *pod_name)
{
    char path[PATH_ROOM];

    k->read_at = 0;
    pod_destroy(TAKE(k->pod));
    snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods/%s", k->ns, pod_name);
    k->call = (struct api_call){
        .result = ERR_AGAIN, .on_object = on_addresses_pod, .owner = k, .wake = &k->task
    };
    api_get(k->owner->api, &k->call, path, k->owner->call_ms);
}

/* OK unless reading pods of this namespace was refused lately. */
static enum err check_readable(struct pod_addresses *p, const struct endpoint *e,
                               struct api_error *ret_error)
{
    const struct refused_ns *r = map_get(&p->refused, str_of(e->ns));

    if (!r || p->sched->now >= r->until)
        return OK;
    *ret_error = r->error;
    return ERR_FORBIDDEN;
}

void pod_address_find(struct pod_addresses *p, const struct endpoint *endpoint,
                      struct pod_address *ret, struct task *wake)
{
    *ret = (struct pod_address){ .wake = wake, .endpoint = endpoint };
    list_init(&ret->waiting);
    ret->result = check_readable(p, endpoint, &ret->error);
    if (ret->result)
        return;
    struct known_pod *k = known_pod_get(p, endpoint);
    uint64_t age = p->sched->now - k->read_at;
    bool known = k->read_at && age < POD_ADDRESSES_FRESH_MS && !k->call.request;

    /* A pod may have got another address since it was read. */
    if (known && age && endpoint->ip && !pod_has_address(k->pod, endpoint->ip))
        known = false;
    if (known) {
        answer_from(k, ret);
        return;
    }
    ret->result = ERR_AGAIN;
    list_append(&k->waiting, &ret->waiting);
    if (!k->call.request)
        known_pod_read(k, endpoint->pod);
}

void pod_address_finish(struct pod_address *a)
{
    if (a->result == ERR_AGAIN)
        list_remove(&a->waiting);
    a->result = OK;
}

void pod_addresses_forget(struct pod_addresses *p, const char *pod_key)
{
    struct known_pod *k = map_get(&p->pods, str_of(pod_key));

    if (k && !list_empty(&k->waiting))
        k->read_at = 0;
    else if (k)
        known_pod_destroy(k);
}

struct pod_addresses *pod_addresses_create(struct sched *sched, struct api *api,
                                           uint64_t call_ms)
{
    struct pod_addresses *p = xcalloc(1, sizeof(*p));

    p->sched = sched;
    p->api = api;
    p->call_ms = call_ms;
    map_init(&p->pods);
    map_init(&p->refused);
    return p;
}

void pod_addresses_destroy(struct pod_addresses *p)
{
    size_t at = 0;

    if (!p)
        return;
    for (struct map_entry *e; (e = map_next(&p->pods, &at));)
        known_pod_destroy(e->value);
    at = 0;
    for (struct map_entry *e; (e = map_next(&p->refused, &at));)
        free(e->value);
    map_finish(&p->pods);
    map_finish(&p->refused);
    free(p);
}
