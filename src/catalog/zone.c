#include "catalog/zone.h"

#include <jansson.h>

#include "base/log.h"
#include "base/own.h"
#include "catalog/corefile.h"

LOG_MODULE(catalog);

#define AGAIN_MS 5000
#define AGAIN_MAX_MS (5 * 60 * 1000)

/* ConfigMaps of kubeadm, kind, minikube, k3s, EKS and AKS; of RKE2; of OpenShift. */
static const char *const places[] = {
    "/api/v1/namespaces/kube-system/configmaps/coredns",
    "/api/v1/namespaces/kube-system/configmaps/rke2-coredns-rke2-coredns",
    "/api/v1/namespaces/openshift-dns/configmaps/dns-default",
};

struct zone_finder {
    struct api *api;
    uint64_t call_ms, again_ms;
    void (*answered)(void *owner, const char *zone);
    void *owner;
    size_t place;
    char zone[ZONE_ROOM];
    bool found;
    struct api_call call;
    struct task task;
    struct timer again;
};

static void on_config_map(void *owner, json_t *object)
{
    struct zone_finder *z = owner;
    const json_t *text = json_object_get(json_object_get(object, "data"), "Corefile");

    if (json_is_string(text))
        z->found = corefile_zone(
            (struct str){ json_string_value(text), json_string_length(text) }, z->zone);
}

static void zone_request(struct zone_finder *z)
{
    z->call = (struct api_call){ .result = ERR_AGAIN,
                                 .on_object = on_config_map,
                                 .owner = z,
                                 .wake = &z->task,
                                 .background = true };
    api_get(z->api, &z->call, places[z->place], z->call_ms);
}

static bool zone_is_final(enum err e)
{
    return e == OK || e == ERR_NOT_FOUND || e == ERR_FORBIDDEN;
}

static void zone_report(struct zone_finder *z)
{
    log_debug(NO_ID, "cluster domain", LOG_S("found", z->found ? z->zone : "none"),
              LOG_S("configmap", places[z->place]));
    z->answered(z->owner, z->found ? z->zone : NULL);
}

/* After a 403 the other places are not tried: their rights are the same. */
static void on_zone_answer(struct task *t)
{
    struct zone_finder *z = container_of(t, struct zone_finder, task);
    enum err e = z->call.result;

    if (e == ERR_AGAIN)
        return;
    api_call_finish(&z->call);
    if (e == ERR_NOT_FOUND && z->place + 1 < ARRAY_LEN(places)) {
        z->place++;
        zone_request(z);
        return;
    }
    if (!zone_is_final(e)) {
        timer_set(&z->again, z->again_ms);
        z->again_ms = z->again_ms * 2 < AGAIN_MAX_MS ? z->again_ms * 2 : AGAIN_MAX_MS;
    }
    zone_report(z);
}

static void on_again(struct timer *t)
{
    zone_request(container_of(t, struct zone_finder, again));
}

struct zone_finder *zone_finder_create(struct sched *sched, struct api *api,
                                       uint64_t call_ms,
                                       void (*answered)(void *owner, const char *zone),
                                       void *owner)
{
    struct zone_finder *z = xcalloc(1, sizeof(*z));

    z->api = api;
    z->call_ms = call_ms;
    z->again_ms = AGAIN_MS;
    z->answered = answered;
    z->owner = owner;
    task_init(&z->task, sched, RANK_READ, on_zone_answer);
    timer_init(&z->again, sched, on_again);
    zone_request(z);
    return z;
}

void zone_finder_destroy(struct zone_finder *z)
{
    if (!z)
        return;
    api_call_finish(&z->call);
    timer_stop(&z->again);
    task_cancel(&z->task);
    free(z);
}
