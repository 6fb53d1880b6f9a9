#include "playground/scale.h"

#include <stdio.h>

#include "base/own.h"
#include "playground/api/object.h"
#include "playground/demo.h"
#include "playground/endpoints.h"

#define NAMESPACE SCALE_NAMESPACE
#define NAMESPACES 20
#define ROLL ROLL_NAMESPACE
#define CHURNED "churn" /* the service whose slices change */
#define CHURNED_SLICES 50
#define TICK_MS 20
#define NODES 500
#define GRACE_MS 2000 /* how long a pod serves after it was removed from its slice */
#define GRACE_STEPS (GRACE_MS / TICK_MS + 10)

struct scale {
    struct cluster *cluster;
    struct timer tick;
    uint64_t ticked; /* when changes were last made */
    uint32_t churn_rate, roll_rate;
    double churn_due, roll_due; /* changes that are due, with fractions */
    size_t churned;             /* slices changed so far */
    bool churn_made;
    size_t roll_pods; /* pods of roll/roll */
    size_t rolled;    /* pods that were replaced in this rollout */
    size_t dropped;   /* replaced pods that were deleted */
    struct {
        uint64_t at; /* sched ms */
        size_t rolled;
    } grace[GRACE_STEPS]; /* steps of the rollout, the oldest first */
    size_t graces;
    unsigned generation;
};

static json_t *endpoint(const char *ns, const char *pod, const char *uid, size_t n)
{
    AUTO_FREE char *ip =
        xasprintf("10.%zu.%zu.%zu", 128 + n / 65536 % 100, n / 256 % 256, n % 256);
    AUTO_FREE char *node = xasprintf("node-%zu.example.internal", n % NODES);

    return json_pack("{s:[s], s:{s:b, s:b, s:b}, s:{s:s, s:s, s:s, s:s}, s:s, s:s}",
                     "addresses", ip, "conditions", "ready", 1, "serving", 1,
                     "terminating", 0, "targetRef", "kind", "Pod", "namespace", ns,
                     "name", pod, "uid", uid, "nodeName", node, "zone", "zone-a");
}

/* A pod that exists in slices only; another `version` makes it a different pod. */
static json_t *phantom(const char *ns, const char *service, size_t n, size_t version)
{
    AUTO_FREE char *pod =
        xasprintf("%s-7d9f%06zx-x%04zx", service, version & 0xffffff, n & 0xffff);
    AUTO_FREE char *uid = xasprintf("%08zx-aaaa-4bbb-8ccc-%012zx", version, n);
    return endpoint(ns, pod, uid, n);
}

static void scale_put_slice(struct scale *s, const char *ns, const char *service,
                            size_t index, json_t *endpoints)
{
    AUTO_FREE char *name = xasprintf("%s-%05zu", service, index);
    json_t *slice = json_pack(
        "{s:s, s:s, s:{s:s, s:s, s:s, s:i, s:{s:s, s:s, s:s},"
        " s:[{s:s, s:s, s:s, s:s, s:b, s:b}]}, s:s, s:o, s:[{s:s, s:s, s:i}]}",
        "apiVersion", "discovery.k8s.io/v1", "kind", "EndpointSlice", "metadata", "name",
        name, "generateName", service, "namespace", ns, "generation", 1, "labels", "app",
        service, "endpointslice.kubernetes.io/managed-by", "playground-scale",
        "kubernetes.io/service-name", service, "ownerReferences", "apiVersion", "v1",
        "kind", "Service", "name", service, "uid", "00000000-0000-4000-8000-000000000000",
        "controller", 1, "blockOwnerDeletion", 1, "addressType", "IPv4", "endpoints",
        endpoints, "ports", "name", "http", "protocol", "TCP", "port", 8080);

    store_put(s->cluster->store, KIND_ENDPOINTSLICE, slice);
}

static void put_service(struct scale *s, const char *ns, const char *name)
{
    AUTO_FREE char *spec =
        xasprintf("{\"selector\":{\"app\":\"%s\"},\"sessionAffinity\":\"None\","
                  "\"ipFamilies\":[\"IPv4\"],\"ipFamilyPolicy\":\"SingleStack\","
                  "\"internalTrafficPolicy\":\"Cluster\",\"ports\":["
                  "{\"name\":\"http\",\"port\":80,\"targetPort\":8080}]}",
                  name);
    store_put(s->cluster->store, KIND_SERVICE,
              demo_service(s->cluster->store, ns, name, spec));
}

static void put_phantoms(struct scale *s, const char *ns, const char *service,
                         size_t slice, size_t from, size_t count, size_t version)
{
    json_t *endpoints = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(endpoints, phantom(ns, service, from + i, version));
    scale_put_slice(s, ns, service, slice, endpoints);
}

void scale_fill(struct scale *s, size_t services, size_t endpoints)
{
    size_t given = 0;

    for (size_t i = 0; i < services; i++) {
        size_t upto = endpoints * (i + 1) / services;
        AUTO_FREE char *ns = xasprintf(NAMESPACE "%02zu", i * NAMESPACES / services);
        AUTO_FREE char *name = xasprintf("svc-%06zu", i);
        put_service(s, ns, name);
        for (size_t slice = 0; given < upto || slice == 0; slice++) {
            size_t left = upto - given;
            size_t count = left < SLICE_ENDPOINTS ? left : SLICE_ENDPOINTS;
            put_phantoms(s, ns, name, slice, given, count, 0);
            given += count;
        }
    }
}

/* --- slices that change --- */

static void make_churned(struct scale *s)
{
    if (s->churn_made)
        return;
    s->churn_made = true;
    put_service(s, NAMESPACE "00", CHURNED);
}

static void churn(struct scale *s)
{
    size_t slice = s->churned % CHURNED_SLICES;

    make_churned(s);
    put_phantoms(s, NAMESPACE "00", CHURNED, slice, slice * SLICE_ENDPOINTS,
                 SLICE_ENDPOINTS, s->churned);
    s->churned++;
}

/* --- a rollout --- */

static char *pod_name(unsigned generation, size_t n)
{
    return xasprintf("roll-6c9f7d%04x-%05zu", generation & 0xffff, n);
}

static char *roll_pod_name(const struct scale *s, size_t n)
{
    return pod_name(n < s->rolled ? s->generation : s->generation - 1, n);
}

static void put_roll_pod(struct scale *s, size_t n)
{
    AUTO_FREE char *name = roll_pod_name(s, n);

    store_put(s->cluster->store, KIND_POD,
              demo_pod(s->cluster->store, ROLL, name, ROLL, NULL));
    pods_start(s->cluster->pods, store_get(s->cluster->store, KIND_POD, ROLL, name));
}

static void drop_roll_pod(struct scale *s, size_t n)
{
    AUTO_FREE char *name = pod_name(s->generation - 1, n);
    const json_t *object = store_get(s->cluster->store, KIND_POD, ROLL, name);

    if (!object)
        return;
    AUTO_FREE char *uid = xstrdup(object_uid(object));
    store_delete(s->cluster->store, KIND_POD, ROLL, name);
    pods_stop(s->cluster->pods, str_of(uid));
}

static void put_roll_slice(struct scale *s, size_t slice)
{
    json_t *endpoints = json_array();
    size_t end = (slice + 1) * SLICE_ENDPOINTS;

    for (size_t n = slice * SLICE_ENDPOINTS; n < end && n < s->roll_pods; n++) {
        AUTO_FREE char *name = roll_pod_name(s, n);
        const json_t *pod = store_get(s->cluster->store, KIND_POD, ROLL, name);
        json_array_append_new(endpoints, endpoint(ROLL, name, object_uid(pod), n));
    }
    scale_put_slice(s, ROLL, ROLL, slice, endpoints);
}

void scale_fill_roll(struct scale *s, size_t pods)
{
    s->rolled = s->dropped = s->roll_pods = pods;
    put_service(s, ROLL, ROLL);
    for (size_t n = 0; n < pods; n++)
        put_roll_pod(s, n);
    for (size_t slice = 0; slice * SLICE_ENDPOINTS < pods; slice++)
        put_roll_slice(s, slice);
}

/* The new pods are ready before the old ones go, as with maxSurge. */
static void roll(struct scale *s, size_t count)
{
    size_t first = s->rolled;
    size_t last = first + count < s->roll_pods ? first + count : s->roll_pods;

    for (size_t n = first; n < last; n++) {
        s->rolled = n + 1;
        put_roll_pod(s, n);
    }
    for (size_t slice = first / SLICE_ENDPOINTS; slice * SLICE_ENDPOINTS < last; slice++)
        put_roll_slice(s, slice);
}

static void drop_upto(struct scale *s, size_t end)
{
    for (; s->dropped < end; s->dropped++)
        drop_roll_pod(s, s->dropped);
}

/* Deletes the pods that were replaced GRACE_MS ago. */
static void drop_rolled(struct scale *s)
{
    uint64_t now = s->tick.sched->now;

    while (s->graces && (now - s->grace[0].at >= GRACE_MS || s->graces == GRACE_STEPS)) {
        drop_upto(s, s->grace[0].rolled);
        s->graces--;
        memmove(s->grace, s->grace + 1, s->graces * sizeof(s->grace[0]));
    }
    if (s->rolled > s->dropped) {
        s->grace[s->graces].at = now;
        s->grace[s->graces++].rolled = s->rolled;
    }
}

size_t scale_left_to_roll(const struct scale *s)
{
    return s->roll_pods - s->rolled;
}

/* --- rates --- */

static void serve_rates(struct scale *s)
{
    double seconds = (double)(s->tick.sched->now - s->ticked) / 1000;

    s->ticked = s->tick.sched->now;
    s->churn_due += seconds * s->churn_rate;
    for (; s->churn_due >= 1; s->churn_due--)
        churn(s);
    s->roll_due += seconds * s->roll_rate;
    size_t count = (size_t)s->roll_due;
    s->roll_due -= (double)count;
    if (count)
        roll(s, count);
    if (!scale_left_to_roll(s))
        s->roll_rate = 0;
    drop_rolled(s);
}

static void on_tick(struct timer *t)
{
    struct scale *s = container_of(t, struct scale, tick);

    serve_rates(s);
    if (s->churn_rate || s->roll_rate || s->rolled > s->dropped)
        timer_set(&s->tick, TICK_MS);
}

static void start_ticking(struct scale *s)
{
    if (s->tick.at)
        return;
    s->ticked = s->tick.sched->now;
    timer_set(&s->tick, TICK_MS);
}

void scale_churn(struct scale *s, uint32_t per_second)
{
    s->churn_rate = per_second;
    s->churn_due = 0;
    start_ticking(s);
}

void scale_roll(struct scale *s, uint32_t pods_per_second)
{
    if (pods_per_second && !scale_left_to_roll(s)) {
        drop_upto(s, s->rolled);
        s->generation++;
        s->rolled = s->dropped = s->graces = 0;
    }
    s->roll_rate = pods_per_second;
    s->roll_due = 0;
    start_ticking(s);
}

struct scale *scale_create(struct cluster *c)
{
    struct scale *s = xcalloc(1, sizeof(*s));

    s->cluster = c;
    timer_init(&s->tick, loop_sched(c->loop), on_tick);
    return s;
}

void scale_destroy(struct scale *s)
{
    if (!s)
        return;
    timer_stop(&s->tick);
    free(s);
}
