#include "playground/api/kind.h"

#include <stdio.h>

#include "playground/api/object.h"
#include "playground/text.h"

/* Cells, as kubectl prints them. */

static json_t *text_cell(struct text *t)
{
    json_t *cell = json_stringn(t->len ? t->at : "<none>", t->len ? t->len : 6);
    text_finish(t);
    return cell;
}

static void add_separated(struct text *t, const char *separator, const char *s)
{
    text_printf(t, "%s%s", t->len ? separator : "", s);
}

static json_t *string_or_none(const json_t *value)
{
    const char *s = json_string_value(value);
    return json_string(s && *s ? s : "<none>");
}

static json_t *cell_name(const json_t *o)
{
    return json_string(object_name(o));
}

static json_t *cell_age(const json_t *o)
{
    time_t made = time_parse(
        json_string_value(object_at(o, "metadata", "creationTimestamp", NULL)));
    long age = made ? (long)(time(NULL) - made) : 0;
    char out[32];

    if (age < 120)
        snprintf(out, sizeof(out), "%lds", age);
    else if (age < 7200)
        snprintf(out, sizeof(out), "%ldm", age / 60);
    else if (age < 172800)
        snprintf(out, sizeof(out), "%ldh", age / 3600);
    else
        snprintf(out, sizeof(out), "%ldd", age / 86400);
    return json_string(out);
}

static json_t *cell_phase(const json_t *o)
{
    if (pod_terminating(o))
        return json_string("Terminating");
    return string_or_none(object_at(o, "status", "phase", NULL));
}

static json_t *cell_pod_ready(const json_t *o)
{
    return json_string(pod_ready(o) ? "1/1" : "0/1");
}

static json_t *cell_restarts(const json_t *o)
{
    (void)o;
    return json_string("0");
}

static json_t *cell_pod_ip(const json_t *o)
{
    return string_or_none(object_at(o, "status", "podIP", NULL));
}

static json_t *cell_node(const json_t *o)
{
    return string_or_none(object_at(o, "spec", "nodeName", NULL));
}

static json_t *cell_none(const json_t *o)
{
    (void)o;
    return json_string("<none>");
}

static json_t *cell_service_type(const json_t *o)
{
    return string_or_none(object_at(o, "spec", "type", NULL));
}

static json_t *cell_cluster_ip(const json_t *o)
{
    return string_or_none(object_at(o, "spec", "clusterIP", NULL));
}

static json_t *cell_external_ip(const json_t *o)
{
    return string_or_none(object_at(o, "spec", "externalName", NULL));
}

static json_t *cell_service_ports(const json_t *o)
{
    struct text t = { 0 };
    size_t i;
    json_t *p;

    json_array_foreach(object_at(o, "spec", "ports", NULL), i, p)
    {
        text_printf(&t, "%s%lld/%s", i ? "," : "",
                    (long long)json_integer_value(json_object_get(p, "port")),
                    json_string_value(json_object_get(p, "protocol")));
    }
    return text_cell(&t);
}

static json_t *cell_selector(const json_t *o)
{
    struct text t = { 0 };
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object_at(o, "spec", "selector", NULL), key, value)
    {
        text_printf(&t, "%s%s=%s", t.len ? "," : "", key, json_string_value(value));
    }
    return text_cell(&t);
}

static json_t *cell_address_type(const json_t *o)
{
    return string_or_none(json_object_get(o, "addressType"));
}

static json_t *cell_slice_ports(const json_t *o)
{
    struct text t = { 0 };
    char number[32];
    size_t i;
    json_t *p;

    json_array_foreach(json_object_get(o, "ports"), i, p)
    {
        snprintf(number, sizeof(number), "%lld",
                 (long long)json_integer_value(json_object_get(p, "port")));
        add_separated(&t, ",", number);
    }
    return text_cell(&t);
}

static json_t *cell_endpoints(const json_t *o)
{
    struct text t = { 0 };
    size_t i;
    json_t *e;

    json_array_foreach(json_object_get(o, "endpoints"), i, e)
    {
        const json_t *address = json_array_get(json_object_get(e, "addresses"), 0);
        if (i < 3)
            add_separated(&t, ",", json_string_value(address));
    }
    if (json_array_size(json_object_get(o, "endpoints")) > 3)
        text_printf(&t, " + %zu more...",
                    json_array_size(json_object_get(o, "endpoints")) - 3);
    return text_cell(&t);
}

/* clang-format off */
static const struct column namespace_columns[] = {
    { "Name",   "string", "name", 0, cell_name },
    { "Status", "string", "",     0, cell_phase },
    { "Age",    "string", "",     0, cell_age },
    { NULL },
};

static const struct column pod_columns[] = {
    { "Name",            "string", "name", 0, cell_name },
    { "Ready",           "string", "",     0, cell_pod_ready },
    { "Status",          "string", "",     0, cell_phase },
    { "Restarts",        "string", "",     0, cell_restarts },
    { "Age",             "string", "",     0, cell_age },
    { "IP",              "string", "",     1, cell_pod_ip },
    { "Node",            "string", "",     1, cell_node },
    { "Nominated Node",  "string", "",     1, cell_none },
    { "Readiness Gates", "string", "",     1, cell_none },
    { NULL },
};

static const struct column service_columns[] = {
    { "Name",        "string", "name", 0, cell_name },
    { "Type",        "string", "",     0, cell_service_type },
    { "Cluster-IP",  "string", "",     0, cell_cluster_ip },
    { "External-IP", "string", "",     0, cell_external_ip },
    { "Port(s)",     "string", "",     0, cell_service_ports },
    { "Age",         "string", "",     0, cell_age },
    { "Selector",    "string", "",     1, cell_selector },
    { NULL },
};

static const struct column slice_columns[] = {
    { "Name",        "string", "name", 0, cell_name },
    { "AddressType", "string", "",     0, cell_address_type },
    { "Ports",       "string", "",     0, cell_slice_ports },
    { "Endpoints",   "string", "",     0, cell_endpoints },
    { "Age",         "string", "",     0, cell_age },
    { NULL },
};

static const struct column plain_columns[] = {
    { "Name", "string", "name", 0, cell_name },
    { "Age",  "string", "",     0, cell_age },
    { NULL },
};

const struct kind kinds[KINDS] = {
    [KIND_NAMESPACE]     = { "", "v1", "namespaces", "namespace", "Namespace", "ns",
                             false, namespace_columns },
    [KIND_POD]           = { "", "v1", "pods", "pod", "Pod", "po", true, pod_columns },
    [KIND_SERVICE]       = { "", "v1", "services", "service", "Service", "svc",
                             true, service_columns },
    [KIND_ENDPOINTSLICE] = { "discovery.k8s.io", "v1", "endpointslices", "endpointslice",
                             "EndpointSlice", NULL, true, slice_columns },
    [KIND_ENDPOINTS]     = { "", "v1", "endpoints", "endpoints", "Endpoints", "ep", true,
                             plain_columns },
    [KIND_DEPLOYMENT]    = { "apps", "v1", "deployments", "deployment", "Deployment",
                             "deploy", true, plain_columns },
    [KIND_CONFIGMAP]     = { "", "v1", "configmaps", "configmap", "ConfigMap", "cm", true,
                             plain_columns },
};
/* clang-format on */

void kind_api_version(const struct kind *k, char *out)
{
    snprintf(out, 64, "%s%s%s", k->group, *k->group ? "/" : "", k->version);
}

const struct kind *kind_by_name(const char *api_version, const char *name)
{
    char own[64];
    for (size_t i = 0; i < KINDS; i++) {
        kind_api_version(&kinds[i], own);
        if (strcmp(own, api_version) == 0 && strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

const struct kind *kind_by_plural(struct str group, struct str version, struct str plural)
{
    for (size_t i = 0; i < KINDS; i++)
        if (str_eq(group, str_of(kinds[i].group)) &&
            str_eq(version, str_of(kinds[i].version)) &&
            str_eq(plural, str_of(kinds[i].plural)))
            return &kinds[i];
    return NULL;
}

enum kind_id kind_number(const struct kind *k)
{
    return (enum kind_id)(k - kinds);
}
