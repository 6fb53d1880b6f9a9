/* catalog/lookup.c - fetch one service or pod from the API server on request
 *
 * The first result should cost one round trip, so the service and its endpointslices are
 * requested together.  If slices are forbidden, the Endpoints of that name are requested next,
 * and the pods by the service's selector.  If no endpoint is ready by the slices, the pods are
 * requested, too, for the reason, or because the slices are out of date.
 */
#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "catalog/deployment.h"
#include "catalog/note.h"
#include "catalog/record.h"

LOG_MODULE(catalog);

#define PATH_ROOM 640

/* A state function does what it can and returns the next state; its own state means "wait".
 * After DONE the fetch is freed, since the result was published. */
#define FETCH_STATES(X) /* clang-format off */ \
    X(OBJECTS, objects) /* the service, and its slices if they may be read */ \
    X(ENDPOINTS, endpoints) /* its Endpoints, where slices may not be read */ \
    X(PODS,    pods)    /* the pods its selector matches */ \
    X(POD,     pod)     /* one pod */ \
    X(DEPLOYMENT, deployment) /* one Deployment; its pods follow */ \
    X(MADE,    made)    /* all pods, for those that a Deployment made */
/* clang-format on */

enum fetch_state {
#define X(NAME, name) FETCH_##NAME,
    FETCH_STATES(X)
#undef X
        FETCH_DONE
};

struct fetch {
    struct record *record;
    struct task task;
    enum fetch_state state;
    bool is_note;         /* the watch has the objects; only the pods are requested */
    bool with_slices;     /* slices, or Endpoints in their place, were received */
    bool listed;          /* get was refused: the object is listed by its name */
    const char *address;  /* the pod is looked up by this address; NULL: by its name */
    struct map addresses; /* that slices of a service without a selector name */
    struct api_call service, slices, endpoints, pods;
    struct api_error refusal; /* of the get */
    struct service_spec *spec;
    struct slice_list slice_list;
    struct pod_list pod_list;
};

#define X(NAME, name) static enum fetch_state in_##name(struct fetch *f);
FETCH_STATES(X)
#undef X

static const struct {
    const char *name;
    enum fetch_state (*run)(struct fetch *f);
} states[] = {
#define X(NAME, name) [FETCH_##NAME] = { #name, in_##name },
    FETCH_STATES(X)
#undef X
};

/* --- received objects --- */

static void log_bad(const struct fetch *f, const struct diag *why)
{
    log_warn(CLUSTER_ID(f->record->catalog->settings.cluster), "object ignored",
             LOG_S("reason", why->text));
}

static void on_service(void *owner, json_t *object)
{
    struct fetch *f = owner;
    struct service_spec *spec;
    struct diag why = { "" };

    if (spec_parse(object, &spec, &why) != OK) {
        log_bad(f, &why);
        return;
    }
    spec_unref(f->spec);
    f->spec = spec;
}

static void on_slice(void *owner, json_t *object)
{
    struct fetch *f = owner;
    struct slice *s;
    struct diag why = { "" };

    if (slice_parse(object, &s, &why) != OK)
        log_bad(f, &why);
    else
        slice_list_put(&f->slice_list, s);
}

static void on_endpoints(void *owner, json_t *object)
{
    struct fetch *f = owner;
    struct slice_list slices = { 0 };
    struct diag why = { "" };
    char *ns, *name;

    if (endpoints_parse(object, &slices, &ns, &name, &why) != OK) {
        log_bad(f, &why);
        return;
    }
    free(ns);
    free(name);
    slice_list_finish(&f->slice_list);
    f->slice_list = slices;
}

/* For services without a selector, for which all pods of the namespace are listed. */
static bool has_any_address(const struct pod *p, const struct map *addresses)
{
    for (size_t i = 0; i < POD_IPS_MAX && p->ips[i]; i++)
        if (map_get(addresses, str_of(p->ips[i])))
            return true;
    return false;
}

/* When looking for an address: has this pod the address, and has it not ended?  Pods that have
 * ended keep theirs. */
static bool is_wanted(const struct fetch *f, const struct pod *p)
{
    if (f->addresses.count)
        return has_any_address(p, &f->addresses);
    return !f->address || (!pod_is_over(p) && pod_has_address(p, f->address));
}

static void on_deployment(void *owner, json_t *object)
{
    struct fetch *f = owner;
    struct service_spec *spec;
    struct diag why = { "" };

    if (deployment_parse(object, &spec, &why) != OK) {
        log_bad(f, &why);
        return;
    }
    spec_unref(f->spec);
    f->spec = spec;
}

static void on_fetched_pod(void *owner, json_t *object)
{
    struct fetch *f = owner;
    struct pod *p;
    struct diag why = { "" };

    if (f->state == FETCH_MADE && !deployment_made(f->record->name, object))
        return;
    if (f->state == FETCH_MADE && !f->spec)
        f->spec = deployment_from_pod(f->record->ns, f->record->name, object);
    if (pod_parse(object, &p, &why) != OK)
        log_bad(f, &why);
    else if (!is_wanted(f, p))
        pod_destroy(p);
    else
        pod_list_add(&f->pod_list, p);
}

/* --- calls --- */

static void prepare(struct fetch *f, struct api_call *call,
                    void (*on_object)(void *owner, json_t *object))
{
    *call = (struct api_call){
        .result = ERR_AGAIN,
        .on_object = on_object,
        .owner = f,
        .wake = &f->task,
    };
}

/* The object that the record is named after. */
static void get_by_name(struct fetch *f, struct api_call *call, const char *group,
                        const char *plural,
                        void (*on_object)(void *owner, json_t *object))
{
    struct record *r = f->record;
    char path[PATH_ROOM];

    snprintf(path, sizeof(path), "%s/namespaces/%s/%s/%s", group, r->ns, plural, r->name);
    prepare(f, call, on_object);
    api_get(r->catalog->api, call, path, r->catalog->settings.call_ms);
}

static void request_service(struct fetch *f)
{
    get_by_name(f, &f->service, "/api/v1", "services", on_service);
}

/* For roles that allow to list but not to get: a list with a field selector for the name. */
static void list_by_name(struct fetch *f, struct api_call *call, const char *plural,
                         void (*on_object)(void *owner, json_t *object))
{
    struct record *r = f->record;
    char path[PATH_ROOM];

    snprintf(path, sizeof(path),
             "/api/v1/namespaces/%s/%s?fieldSelector=metadata.name%%3D%s", r->ns, plural,
             r->name);
    f->refusal = call->error;
    f->listed = true;
    api_call_finish(call);
    prepare(f, call, on_object);
    api_list(r->catalog->api, call, path, NULL, r->catalog->settings.call_ms);
}

static void request_endpoints(struct fetch *f)
{
    get_by_name(f, &f->endpoints, "/api/v1", "endpoints", on_endpoints);
}

static void request_slices(struct fetch *f)
{
    struct record *r = f->record;
    char path[PATH_ROOM], selector[PATH_ROOM];

    snprintf(path, sizeof(path), "/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices",
             r->ns);
    snprintf(selector, sizeof(selector), "kubernetes.io/service-name=%s", r->name);
    prepare(f, &f->slices, on_slice);
    api_list(r->catalog->api, &f->slices, path, selector, r->catalog->settings.call_ms);
}

static void request_pods(struct fetch *f, const char *selector)
{
    struct record *r = f->record;
    char path[PATH_ROOM];

    snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods", r->ns);
    prepare(f, &f->pods, on_fetched_pod);
    api_list(r->catalog->api, &f->pods, path, selector, r->catalog->settings.call_ms);
}

/* False: the slices name no address that a pod could have. */
static bool request_pods_by_address(struct fetch *f, const struct slice_list *slices)
{
    for (size_t i = 0; i < slices->count; i++)
        for (size_t k = 0; k < slice_list_at(slices, i)->endpoint_count; k++) {
            const struct slice_endpoint *e = &slice_list_at(slices, i)->endpoints[k];
            if (e->address_only)
                map_set(&f->addresses, str_of(e->ip), f);
        }
    if (f->addresses.count)
        request_pods(f, NULL);
    return f->addresses.count;
}

static void request_pod(struct fetch *f)
{
    get_by_name(f, &f->pods, "/api/v1", "pods", on_fetched_pod);
}

static void request_deployment(struct fetch *f)
{
    get_by_name(f, &f->service, "/apis/apps/v1", "deployments", on_deployment);
}

/* --- results --- */

static enum fetch_state fetch_fail(struct fetch *f, const struct api_error *error,
                                   const char *verb, const char *resource)
{
    /* Copied, since the record frees the fetch, which holds *error. */
    struct api_error e = *error;
    struct record *r = f->record;

    if (e.code == ERR_NOT_FOUND && !e.is_status)
        e.code =
            ERR_SERVER; /* a 404 of a proxy on the path does not mean "no such service" */
    r->catalog->trouble = e.status ? (struct api_error){ .code = OK } : e;
    r->catalog->ops->fail(r, &e, verb, resource);
    return FETCH_DONE;
}

static enum fetch_state fetch_fail_with(struct fetch *f, enum err code, const char *what)
{
    bool missing = code == ERR_NOT_FOUND;
    struct api_error e = { .code = code,
                           .status = missing ? 404 : 200,
                           .is_status = missing };

    diag_set(&e.why, code, "%s \"%s\" %s", what, f->record->name,
             missing ? "not found" : "has an unexpected value");
    return fetch_fail(f, &e, NULL, NULL);
}

static enum fetch_state fetch_publish(struct fetch *f, struct service *service)
{
    struct record *r = f->record;

    r->catalog->trouble = (struct api_error){ .code = OK };
    r->catalog->ops->publish(r, service);
    return FETCH_DONE;
}

static enum fetch_state fetch_keep(struct fetch *f)
{
    return fetch_publish(f, service_ref(f->record->service));
}

/* pods: NULL if they were not, or could not be, listed. */
static enum fetch_state publish_objects(struct fetch *f, const struct pod_list *pods)
{
    const struct map *missing = &f->record->catalog->missing;

    if (!f->with_slices && pods)
        return fetch_publish(f, entry_from_pods(f->spec, pods, missing));
    return fetch_publish(f, entry_from_slices(f->spec, &f->slice_list, pods, missing));
}

static bool slices_show_ready(const struct fetch *f)
{
    struct service *s =
        entry_from_slices(f->spec, &f->slice_list, NULL, &f->record->catalog->missing);
    bool ready = entry_has_ready(s);

    service_unref(s);
    return ready;
}

/* --- states --- */

/* Slices or Endpoints were received, or both were refused. */
static enum fetch_state after_slices(struct fetch *f)
{
    if (f->with_slices && slices_show_ready(f))
        return publish_objects(f, NULL);
    if (f->pods.on_object) /* requested together with the Endpoints */
        return FETCH_PODS;
    if (f->spec->selector)
        request_pods(f, f->spec->selector);
    else if (!request_pods_by_address(f, &f->slice_list))
        return publish_objects(f, NULL);
    return FETCH_PODS;
}

/* Request the Endpoints, which a role may permit for this name only, and at the same time the
 * pods, which may be needed, too: together they cost one round trip. */
static enum fetch_state instead_of_slices(struct fetch *f)
{
    const struct record *r = f->record;

    if (refusals_have(r->catalog, r->ns, REFUSED_ENDPOINTS))
        return after_slices(f);
    request_endpoints(f);
    if (f->spec->selector)
        request_pods(f, f->spec->selector);
    return FETCH_ENDPOINTS;
}

static bool is_refusal(enum err e)
{
    return e == ERR_FORBIDDEN || e == ERR_NOT_FOUND;
}

static enum fetch_state in_endpoints(struct fetch *f)
{
    enum err e = f->endpoints.result;
    bool none = e == ERR_NOT_FOUND && f->endpoints.error.is_status;

    if (e == ERR_AGAIN)
        return FETCH_ENDPOINTS;
    if (e && !is_refusal(e))
        return fetch_fail(f, &f->endpoints.error, "get", "endpoints");
    if (e && !none)
        refusals_note(f->record->catalog, f->record->ns, REFUSED_ENDPOINTS);
    f->with_slices = !e || none;
    return after_slices(f);
}

static enum fetch_state fail_service(struct fetch *f)
{
    const struct api_error *error = &f->service.error;

    if (f->service.result != ERR_FORBIDDEN)
        return fetch_fail(f, error, f->listed ? "list" : "get", "services");
    if (f->listed)
        return fetch_fail(f, &f->refusal, "get", "services");
    list_by_name(f, &f->service, "services", on_service);
    return FETCH_OBJECTS;
}

static enum fetch_state in_objects(struct fetch *f)
{
    if (f->service.result == ERR_AGAIN)
        return FETCH_OBJECTS;
    if (f->service.result)
        return fail_service(f);
    if (!f->spec)
        return fetch_fail_with(f, f->listed ? ERR_NOT_FOUND : ERR_PROTO, "services");
    if (f->spec->kind == SERVICE_EXTERNAL)
        return publish_objects(f, NULL);
    if (!f->slices.on_object)
        return instead_of_slices(f);

    if (f->slices.result == ERR_AGAIN)
        return FETCH_OBJECTS;
    if (f->slices.result && !is_refusal(f->slices.result))
        return fetch_fail(f, &f->slices.error, "list", "endpointslices");
    f->with_slices = f->slices.result == OK;
    if (f->with_slices)
        return after_slices(f);
    refusals_note(f->record->catalog, f->record->ns, REFUSED_SLICES);
    return instead_of_slices(f);
}

/* Build the entry from the watch's present objects and the listed pods. */
static enum fetch_state publish_note(struct fetch *f)
{
    struct record *r = f->record;
    struct pod_list pods = f->pod_list;
    bool known = f->pods.result == OK;

    f->pod_list = (struct pod_list){ 0 };
    fetch_destroy(TAKE(r->fetch));
    r->noted_at =
        r->catalog->sched->now; /* also after a failure: do not wait for it again */
    if (!known && record_serves_by_pods(r))
        r->catalog->ops->publish(r, service_ref(r->service));
    else
        r->catalog->ops->build(r, known ? &pods : NULL);
    r->noted_at = r->catalog->sched->now;
    pod_list_finish(&pods);
    return FETCH_DONE;
}

/* Slices, endpoints and pods were all refused; one of them would be enough. */
static enum fetch_state fail_pods(struct fetch *f)
{
    struct api_error e = f->pods.error;

    if (e.code == ERR_FORBIDDEN)
        diag_set(&e.why, e.code,
                 "%s (endpointslices and endpoints may not be read either; one of the "
                 "three is enough)",
                 f->pods.error.why.text);
    return fetch_fail(f, &e, "list", "pods");
}

static enum fetch_state in_pods(struct fetch *f)
{
    if (f->pods.result == ERR_AGAIN)
        return FETCH_PODS;
    if (f->is_note)
        return publish_note(f);
    if (f->pods.result == OK)
        return publish_objects(f, &f->pod_list);
    if (!f->with_slices)
        return fail_pods(f);
    return record_serves_by_pods(f->record) ? fetch_keep(f) : publish_objects(f, NULL);
}

static enum fetch_state in_pod(struct fetch *f)
{
    if (f->pods.result == ERR_AGAIN)
        return FETCH_POD;
    if (f->pods.result == ERR_FORBIDDEN && !f->address && !f->listed) {
        list_by_name(f, &f->pods, "pods", on_fetched_pod);
        return FETCH_POD;
    }
    if (f->pods.result == ERR_FORBIDDEN && f->listed)
        return fetch_fail(f, &f->refusal, "get", "pods");
    if (f->pods.result)
        return fetch_fail(f, &f->pods.error, f->address ? "list" : "get", "pods");
    if (f->pod_list.count == 0)
        return fetch_fail_with(f, f->address || f->listed ? ERR_NOT_FOUND : ERR_PROTO,
                               "pods");
    return fetch_publish(f, entry_for_pod(f->pod_list.at[0]));
}

static enum fetch_state in_deployment(struct fetch *f)
{
    if (f->service.result == ERR_AGAIN)
        return FETCH_DEPLOYMENT;
    if (f->service.result == ERR_FORBIDDEN) {
        request_pods(f, NULL);
        return FETCH_MADE;
    }
    if (f->service.result)
        return fetch_fail(f, &f->service.error, "get", "deployments");
    if (!f->spec)
        return fetch_fail_with(f, ERR_PROTO, "deployments");
    request_pods(f, f->spec->selector);
    return FETCH_PODS;
}

/* If no pod was found, it is unknown whether the Deployment exists: fail with the 403. */
static enum fetch_state in_made(struct fetch *f)
{
    if (f->pods.result == ERR_AGAIN)
        return FETCH_MADE;
    if (f->pods.result || !f->spec)
        return fetch_fail(f, &f->service.error, "get", "deployments");
    return fetch_publish(
        f, entry_from_pods(f->spec, &f->pod_list, &f->record->catalog->missing));
}

/* --- create and destroy --- */

static void on_fetch(struct task *t)
{
    struct fetch *f = container_of(t, struct fetch, task);

    for (;;) {
        enum fetch_state next = states[f->state].run(f);
        if (next == FETCH_DONE || next == f->state)
            return;
        log_debug(CLUSTER_ID(f->record->catalog->settings.cluster), "fetch",
                  LOG_S("name", f->record->key), LOG_S("from", states[f->state].name),
                  LOG_S("to", states[next].name));
        f->state = next;
    }
}

static struct fetch *fetch_create(struct record *r, enum fetch_state state)
{
    struct fetch *f = xcalloc(1, sizeof(*f));

    f->record = r;
    f->state = state;
    task_init(&f->task, r->catalog->sched, RANK_READ, on_fetch);
    return f;
}

static void start_pod(struct fetch *f)
{
    if (is_pod_address(f->record->name)) {
        f->address = f->record->name;
        request_pods(f, NULL);
    } else {
        request_pod(f);
    }
}

static void start_objects(struct fetch *f)
{
    request_service(f);
    if (!refusals_have(f->record->catalog, f->record->ns, REFUSED_SLICES))
        request_slices(f);
}

void fetch_start(struct record *r)
{
    static const struct {
        enum fetch_state state;
        void (*start)(struct fetch *f);
    } starts[] = {
        [WHAT_SERVICE] = { FETCH_OBJECTS, start_objects },
        [WHAT_POD] = { FETCH_POD, start_pod },
        [WHAT_DEPLOYMENT] = { FETCH_DEPLOYMENT, request_deployment },
    };

    if (r->fetch)
        return;
    r->fetch = fetch_create(r, starts[r->what].state);
    starts[r->what].start(r->fetch);
}

void fetch_note(struct record *r)
{
    if (r->fetch)
        return;
    r->fetch = fetch_create(r, FETCH_PODS);
    r->fetch->is_note = true;
    if (r->spec->selector)
        request_pods(r->fetch, r->spec->selector);
    else if (!request_pods_by_address(r->fetch, &r->slices))
        fetch_destroy(TAKE(r->fetch));
}

bool fetch_is_note(const struct fetch *f)
{
    return f->is_note;
}

void fetch_destroy(struct fetch *f)
{
    if (!f)
        return;
    api_call_finish(&f->service);
    api_call_finish(&f->slices);
    api_call_finish(&f->endpoints);
    api_call_finish(&f->pods);
    task_cancel(&f->task);
    spec_unref(f->spec);
    slice_list_finish(&f->slice_list);
    pod_list_finish(&f->pod_list);
    map_finish(&f->addresses);
    free(f);
}
