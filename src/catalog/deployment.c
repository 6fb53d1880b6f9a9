#include "catalog/deployment.h"

#include <stdio.h>

#include "base/own.h"

#define SELECTOR_MAX 8192
#define VALUE_MAX 317 /* of a label's key: a prefix of 253 bytes, "/", a name of 63 */
#define HASH_LABEL "pod-template-hash"

/* --- the selector, as labelSelector of a query --- */

struct text {
    char at[SELECTOR_MAX];
    size_t len;
    bool wrong;
};

/* Has it only characters of a label's key or value?  Others could change the query. */
static bool is_label_text(const char *s)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_./";
    return strspn(s, allowed) == strlen(s) && strlen(s) <= VALUE_MAX;
}

static void add(struct text *t, const char *s)
{
    size_t len = strlen(s);

    if (len >= sizeof(t->at) - t->len) {
        t->wrong = true;
        return;
    }
    memcpy(t->at + t->len, s, len + 1);
    t->len += len;
}

static void add_word(struct text *t, const json_t *word)
{
    const char *s = json_string_value(word);

    if (s && is_label_text(s))
        add(t, s);
    else
        t->wrong = true;
}

static void begin(struct text *t)
{
    if (t->len)
        add(t, ",");
}

static void add_labels(struct text *t, const json_t *labels)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)labels, key, value)
    {
        begin(t);
        if (!*key || !is_label_text(key))
            t->wrong = true;
        add(t, key);
        add(t, "=");
        add_word(t, value);
    }
}

static void add_set(struct text *t, const json_t *key, const char *operator,
                    const json_t * values)
{
    size_t i;
    json_t *value;

    add_word(t, key);
    add(t, operator);
    json_array_foreach((json_t *)values, i, value)
    {
        add(t, i ? "," : "");
        add_word(t, value);
    }
    add(t, ")");
}

static void add_expression(struct text *t, const json_t *o)
{
    const json_t *key = json_object_get(o, "key"), *values = json_object_get(o, "values");
    const char *operator= json_string_value(json_object_get(o, "operator"));

    begin(t);
    if (!operator|| !json_string_length(key))
        t->wrong = true;
    else if (strcmp(operator, "In") == 0)
        add_set(t, key, " in (", values);
    else if (strcmp(operator, "NotIn") == 0)
        add_set(t, key, " notin (", values);
    else if (strcmp(operator, "Exists") == 0)
        add_word(t, key);
    else if (strcmp(operator, "DoesNotExist") == 0) {
        add(t, "!");
        add_word(t, key);
    } else
        t->wrong = true;
}

/* NULL: it is invalid, or empty, which would match every pod. */
static char *selector_of(const json_t *spec)
{
    const json_t *selector = json_object_get(spec, "selector");
    struct text t = { .at = "" };
    size_t i;
    json_t *expression;

    add_labels(&t, json_object_get(selector, "matchLabels"));
    json_array_foreach(json_object_get(selector, "matchExpressions"), i, expression)
        add_expression(&t, expression);
    return t.wrong || !t.len ? NULL : xstrdup(t.at);
}

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
    bool named = name && *name && strlen(name) <= VALUE_MAX;

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
    AUTO_FREE char *selector = selector_of(spec);
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
