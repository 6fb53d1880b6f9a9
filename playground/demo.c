#include "playground/demo.h"

#include <assert.h>
#include <stdio.h>

#include "base/own.h"
#include "playground/api/object.h"

#define NODE "playground"
#define NODE_IP "192.0.2.1"
#define IMAGE "playground/pod:1"

static void put_namespace(struct store *s, const char *name)
{
    store_put(s, KIND_NAMESPACE,
              json_pack("{s:s, s:s, s:{s:s, s:{s:s}}, s:{s:[s]}, s:{s:s}}", "apiVersion",
                        "v1", "kind", "Namespace", "metadata", "name", name, "labels",
                        "kubernetes.io/metadata.name", name, "spec", "finalizers",
                        "kubernetes", "status", "phase", "Active"));
}

static json_t *condition(const char *type, const char *now)
{
    return json_pack("{s:s, s:s, s:n, s:s}", "type", type, "status", "True",
                     "lastProbeTime", "lastTransitionTime", now);
}

static json_t *pod_status(const char *ip, const char *now)
{
    return json_pack("{s:s, s:[o,o,o,o], s:s, s:s, s:[{s:s}], s:s, s:s,"
                     " s:[{s:s, s:b, s:b, s:i, s:s, s:s, s:s, s:{s:{s:s}}}]}",
                     "phase", "Running", "conditions", condition("PodScheduled", now),
                     condition("Initialized", now), condition("ContainersReady", now),
                     condition("Ready", now), "hostIP", NODE_IP, "podIP", ip, "podIPs",
                     "ip", ip, "startTime", now, "qosClass", "BestEffort",
                     "containerStatuses", "name", "pod", "ready", 1, "started", 1,
                     "restartCount", 0, "image", IMAGE, "imageID", IMAGE, "containerID",
                     "containerd://0", "state", "running", "startedAt", now);
}

static json_t *pod_spec(void)
{
    return json_pack(
        "{s:s, s:s, s:i, s:[{s:s, s:s, s:[{s:s,s:i,s:s},{s:s,s:i,s:s}]}]}", "nodeName",
        NODE, "restartPolicy", "Always", "terminationGracePeriodSeconds", 2, "containers",
        "name", "pod", "image", IMAGE, "ports", "name", "http", "containerPort", 8080,
        "protocol", "TCP", "name", "echo", "containerPort", 9000, "protocol", "TCP");
}

json_t *demo_pod(struct store *s, const char *ns, const char *name, const char *app,
                 const char *subdomain)
{
    size_t n = (size_t)store_revision(s); /* no two pods share an address */
    AUTO_FREE char *ip =
        xasprintf("10.%zu.%zu.%zu", 1 + n / 65536 % 250, n / 256 % 256, n % 256);
    char now[TIME_TEXT];
    time_text(time(NULL), now);

    json_t *spec = pod_spec();
    if (subdomain) {
        json_object_set_new(spec, "hostname", json_string(name));
        json_object_set_new(spec, "subdomain", json_string(subdomain));
    }
    return json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}}, s:o, s:o}", "apiVersion", "v1",
                     "kind", "Pod", "metadata", "name", name, "namespace", ns, "labels",
                     "app", app, "spec", spec, "status", pod_status(ip, now));
}

json_t *demo_service(struct store *s, const char *ns, const char *name, const char *spec)
{
    json_error_t error;
    json_t *tree = json_loads(spec, 0, &error);
    assert(tree);
    size_t i;
    json_t *port;

    json_array_foreach(json_object_get(tree, "ports"), i, port)
    {
        json_object_set_new(port, "protocol", json_string("TCP"));
        if (!json_object_get(port, "targetPort"))
            json_object_set(port, "targetPort", json_object_get(port, "port"));
    }
    if (!json_object_get(tree, "type"))
        json_object_set_new(tree, "type", json_string("ClusterIP"));
    AUTO_FREE char *ip = xasprintf("10.96.%zu.%zu", (size_t)store_revision(s) / 256 % 256,
                                   (size_t)store_revision(s) % 256);
    if (!json_object_get(tree, "clusterIP") && !json_object_get(tree, "externalName"))
        json_object_set_new(tree, "clusterIP", json_string(ip));
    return json_pack("{s:s, s:s, s:{s:s, s:s}, s:o, s:{s:{}}}", "apiVersion", "v1",
                     "kind", "Service", "metadata", "name", name, "namespace", ns, "spec",
                     tree, "status", "loadBalancer");
}

/* clang-format off */
static const struct {
    const char *ns, *name, *spec;
} services[] = {
    { "shop", "web", "{\"selector\":{\"app\":\"web\"},\"ports\":["
                     "{\"name\":\"http\",\"port\":80,\"targetPort\":\"http\"},"
                     "{\"name\":\"echo\",\"port\":9000}]}" },
    { "shop", "seed", "{\"selector\":{\"app\":\"web\"},\"ports\":["
                      "{\"name\":\"http\",\"port\":8080}]}" },
    { "shop", "raw", "{\"selector\":{\"app\":\"web\"},\"ports\":["
                     "{\"name\":\"head\",\"port\":8081},{\"name\":\"sink\",\"port\":9001},"
                     "{\"name\":\"stuck\",\"port\":9002},{\"name\":\"late\",\"port\":9003},"
                     "{\"name\":\"greet\",\"port\":9004},{\"name\":\"rst\",\"port\":9005},"
                     "{\"name\":\"closed\",\"port\":9999}]}" },
    { "shop", "head", "{\"selector\":{\"app\":\"web\"},\"ports\":["
                      "{\"port\":80,\"targetPort\":8081}]}" },
    { "shop", "closed", "{\"selector\":{\"app\":\"web\"},\"ports\":["
                        "{\"port\":80,\"targetPort\":9999}]}" },
    { "shop", "empty", "{\"selector\":{\"app\":\"nobody\"},\"ports\":[{\"port\":80}]}" },
    { "shop", "ext", "{\"type\":\"ExternalName\",\"externalName\":\"example.org\"}" },
    { "shop", "manual", "{\"ports\":[{\"port\":80}]}" },
    { "shop", "db", "{\"clusterIP\":\"None\",\"selector\":{\"app\":\"db\"},\"ports\":["
                    "{\"name\":\"http\",\"port\":8080}]}" },
    { "other", "web", "{\"selector\":{\"app\":\"web\"},\"ports\":["
                      "{\"port\":80,\"targetPort\":8080}]}" },
};

static const struct {
    const char *ns, *name, *app, *subdomain;
} pods[] = {
    { "shop", "web-6c9f7d5b8-4xk2p", "web", NULL },
    { "shop", "web-6c9f7d5b8-w9tzm", "web", NULL },
    { "shop", "db-0", "db", "db" },
    { "shop", "db-1", "db", "db" },
    { "other", "web-5d8c6b7f9-q7l4s", "web", NULL },
};
/* clang-format on */

/* A slice that was written by hand, with an address of no pod. */
static void put_manual_slice(struct store *s)
{
    store_put(s, KIND_ENDPOINTSLICE,
              json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}}, s:s, s:[{s:[s], s:{s:b}}],"
                        " s:[{s:s, s:s, s:i}]}",
                        "apiVersion", "discovery.k8s.io/v1", "kind", "EndpointSlice",
                        "metadata", "name", "manual-1", "namespace", "shop", "labels",
                        "kubernetes.io/service-name", "manual", "addressType", "IPv4",
                        "endpoints", "addresses", "192.0.2.80", "conditions", "ready", 1,
                        "ports", "name", "", "protocol", "TCP", "port", 80));
}

void demo_fill(struct store *s)
{
    put_namespace(s, "default");
    put_namespace(s, "shop");
    put_namespace(s, "other");
    for (size_t i = 0; i < ARRAY_LEN(pods); i++)
        store_put(s, KIND_POD,
                  demo_pod(s, pods[i].ns, pods[i].name, pods[i].app, pods[i].subdomain));
    for (size_t i = 0; i < ARRAY_LEN(services); i++)
        store_put(s, KIND_SERVICE,
                  demo_service(s, services[i].ns, services[i].name, services[i].spec));
    put_manual_slice(s);
}

void demo_fill_many(struct store *s, size_t n)
{
    put_namespace(s, "many");
    store_put(s, KIND_SERVICE,
              demo_service(s, "many", "many",
                           "{\"selector\":{\"app\":\"many\"},\"ports\":["
                           "{\"port\":80,\"targetPort\":8080}]}"));
    for (size_t i = 0; i < n; i++) {
        AUTO_FREE char *name = xasprintf("many-%zu", i);
        store_put(s, KIND_POD, demo_pod(s, "many", name, "many", NULL));
    }
}
