#include "catalog/address_owner.h"

#include <jansson.h>
#include <stdio.h>

#include "base/own.h"
#include "catalog/note.h"
#include "catalog/objects.h"
#include "catalog/record.h"

#define PATH_ROOM 256
#define KNOWN_MAX 1024 /* cached results; a full cache is cleared */

/* One cached result. */
struct known_owner {
    uint64_t found_at; /* sched ms */
    bool is_pod;
    char ns[64], name[256];
};

static bool is_listed(const json_t *addresses, const char *member, const char *address)
{
    size_t i;
    json_t *o;

    json_array_foreach((json_t *)addresses, i, o)
    {
        const char *text = json_string_value(member ? json_object_get(o, member) : o);
        if (text && strcmp(text, address) == 0)
            return true;
    }
    return false;
}

static void take_owner(struct address_owner *a, const json_t *object, bool is_pod)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *ns = json_string_value(json_object_get(metadata, "namespace"));
    const char *name = json_string_value(json_object_get(metadata, "name"));

    if (!ns || !name || !is_plain_name(str_of(ns)) || !is_plain_name(str_of(name)) ||
        strlen(ns) >= sizeof(a->ns) || strlen(name) >= sizeof(a->name))
        return;
    memcpy(a->ns, ns, strlen(ns) + 1);
    memcpy(a->name, name, strlen(name) + 1);
    a->is_pod = is_pod;
    a->result = OK;
}

static void on_owner_service(void *owner, json_t *object)
{
    struct address_owner *a = owner;
    const json_t *spec = json_object_get(object, "spec");
    const char *ip = json_string_value(json_object_get(spec, "clusterIP"));

    if ((ip && strcmp(ip, a->address) == 0) ||
        is_listed(json_object_get(spec, "clusterIPs"), NULL, a->address))
        take_owner(a, object, false);
}

/* Skips pods that have ended: they keep their address, which another pod may have by now. */
static void on_owner_pod(void *owner, json_t *object)
{
    struct address_owner *a = owner;
    struct pod *pod;

    if (pod_parse(object, &pod, NULL) != OK)
        return;
    if (!pod_is_over(pod) && !pod->host_network && pod_has_address(pod, a->address))
        take_owner(a, object, true);
    pod_destroy(pod);
}

static void note_owner(const struct address_owner *a)
{
    struct catalog *c = a->catalog;
    struct known_owner *k = map_get(&c->owners, str_of(a->address));

    if (!k && c->owners.count >= KNOWN_MAX)
        address_owners_forget(c);
    if (!k) {
        k = xcalloc(1, sizeof(*k));
        map_set(&c->owners, str_of(a->address), k);
    }
    k->found_at = c->sched->now;
    k->is_pod = a->is_pod;
    memcpy(k->ns, a->ns, sizeof(k->ns));
    memcpy(k->name, a->name, sizeof(k->name));
}

static bool is_known(struct address_owner *a)
{
    struct catalog *c = a->catalog;
    const struct known_owner *k = map_get(&c->owners, str_of(a->address));

    if (!k || c->sched->now - k->found_at > c->settings.keep_ms)
        return false;
    memcpy(a->ns, k->ns, sizeof(a->ns));
    memcpy(a->name, k->name, sizeof(a->name));
    a->is_pod = k->is_pod;
    a->result = OK;
    return true;
}

void address_owners_forget(struct catalog *c)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&c->owners, &at));)
        free(e->value);
    map_finish(&c->owners);
}

static bool is_open(const struct api_call *call)
{
    return call->result == ERR_AGAIN;
}

/* Both lists are complete, or one of them had the owner. */
static void on_owner_answer(struct task *task)
{
    struct address_owner *a = container_of(task, struct address_owner, answered);
    bool found = a->result == OK;
    const struct api_call *failed = a->services.result ? &a->services : &a->pods;

    if (!found && (is_open(&a->services) || is_open(&a->pods)))
        return;
    if (found)
        note_owner(a);
    else if (failed->result)
        a->error = failed->error;
    else
        a->error = (struct api_error){ .code = ERR_NOT_FOUND };
    if (!found && !failed->result)
        diag_set(&a->error.why, OK, "no service or pod of the cluster has the address %s",
                 a->address);
    if (!found)
        a->result = a->error.code;
    api_call_finish(&a->services);
    api_call_finish(&a->pods);
    task_wake(TAKE(a->wake));
}

static void list_owners(struct address_owner *a, struct api_call *call,
                        const char *plural, const char *field,
                        void (*on_object)(void *, json_t *))
{
    char path[PATH_ROOM];

    snprintf(path, sizeof(path), "/api/v1/%s?fieldSelector=%s%%3D%s", plural, field,
             a->address);
    *call = (struct api_call){
        .result = ERR_AGAIN,
        .on_object = on_object,
        .owner = a,
        .wake = &a->answered,
    };
    api_list(a->catalog->api, call, path, NULL, a->catalog->settings.call_ms);
}

void address_owner_find(struct address_owner *a, struct catalog *c, const char *address,
                        struct task *wake)
{
    address_owner_finish(a);
    a->catalog = c;
    snprintf(a->address, sizeof(a->address), "%s", address);
    if (is_known(a))
        return;
    a->result = ERR_AGAIN;
    a->wake = wake;
    task_init(&a->answered, c->sched, RANK_READ, on_owner_answer);
    list_owners(a, &a->services, "services", "spec.clusterIP", on_owner_service);
    list_owners(a, &a->pods, "pods", "status.podIP", on_owner_pod);
}

void address_owner_finish(struct address_owner *a)
{
    if (!a->wake)
        return;
    api_call_finish(&a->services);
    api_call_finish(&a->pods);
    task_cancel(&a->answered);
    a->wake = NULL;
}
