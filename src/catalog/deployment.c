#include "catalog/deployment.h"

#include <stdio.h>

#include "base/own.h"
#include "catalog/selector.h"

#define PORT_NAME_MAX 317 /* more than any valid name has */
#define HASH_LABEL "pod-template-hash"

/* --- ports --- */

struct ports {
    struct service_port *at;
    size_t count, left_out;
};

static void ports_finish(struct ports *p)
{
    free(p->at);
}

/* Borrows the names. */
static void add_port(struct ports *p, const json_t *o)
{
    json_int_t number = json_integer_value(json_object_get(o, "containerPort"));
    const char *name = json_string_value(json_object_get(o, "name"));
    const char *protocol = json_string_value(json_object_get(o, "protocol"));
    bool named = name && *name && strlen(name) <= PORT_NAME_MAX;

    if (number <= 0 || number > UINT16_MAX)
        return;
    if (p->count == PORTS_MAX) {
        p->left_out++;
        return;
    }
    if ((p->count & (p->count - 1)) == 0)
        p->at = xrealloc(p->at, (p->count ? p->count * 2 : 1) * sizeof(*p->at));
    p->at[p->count++] = (struct service_port){
        .name = named ? name : "",
        .number = (uint16_t)number,
        .tcp = !protocol || strcmp(protocol, "TCP") == 0,
        .target_name = named ? name : NULL, /* it may differ from pod to pod */
        .target = named ? 0 : (uint16_t)number,
    };
}

static void add_ports(struct ports *p, const json_t *pod_spec)
{
    size_t i, j;
    json_t *container, *port;

    json_array_foreach(json_object_get(pod_spec, "containers"), i, container)
        json_array_foreach(json_object_get(container, "ports"), j, port)
            add_port(p, port);
}

/* --- the whole --- */

static struct service_spec *spec_of(const char *ns, const char *name,
                                    const char *selector, const json_t *pod_spec)
{
    AUTO(ports_finish) struct ports ports = { 0 };

    add_ports(&ports, pod_spec);
    const struct service_spec loose = {
        .kind = SERVICE_DEPLOYMENT,
        .ns = ns,
        .name = name,
        .selector = selector,
        .ports = ports.at,
        .port_count = ports.count,
        .left_out = ports.left_out,
    };
    return spec_pack(&loose);
}

enum err deployment_parse(const json_t *object, struct service_spec **ret,
                          struct diag *why)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const json_t *spec = json_object_get(object, "spec");
    const char *ns = json_string_value(json_object_get(metadata, "namespace"));
    const char *name = json_string_value(json_object_get(metadata, "name"));

    if (!ns || !name || !is_plain_name(str_of(ns)) || !is_plain_name(str_of(name)))
        return diag_set(why, ERR_PROTO, "deployments without a name");
    AUTO_FREE char *selector = selector_of_rules(json_object_get(spec, "selector"));
    if (!selector)
        return diag_set(why, ERR_PROTO, "deployments \"%s\": selector is not usable",
                        name);
    *ret = spec_of(ns, name, selector,
                   json_object_get(json_object_get(spec, "template"), "spec"));
    return OK;
}

static const json_t *controller_of(const json_t *metadata)
{
    size_t i;
    json_t *o;

    json_array_foreach(json_object_get(metadata, "ownerReferences"), i, o)
    {
        const char *kind = json_string_value(json_object_get(o, "kind"));
        if (json_is_true(json_object_get(o, "controller")) && kind &&
            strcmp(kind, "ReplicaSet") == 0)
            return o;
    }
    return NULL;
}

bool deployment_made(const char *deployment, const json_t *pod)
{
    const json_t *metadata = json_object_get(pod, "metadata");
    const char *hash = json_string_value(
        json_object_get(json_object_get(metadata, "labels"), HASH_LABEL));
    const char *name =
        json_string_value(json_object_get(controller_of(metadata), "name"));
    size_t len = strlen(deployment);

    return hash && *hash && name && strncmp(name, deployment, len) == 0 &&
           name[len] == '-' && strcmp(name + len + 1, hash) == 0;
}

struct service_spec *deployment_from_pod(const char *ns, const char *name,
                                         const json_t *pod)
{
    AUTO_FREE char *selector =
        xasprintf("of deployment %s", name); /* for messages only */

    return spec_of(ns, name, selector, json_object_get(pod, "spec"));
}
