/* exec/container_fields.c - valueFrom: fields of a pod, and amounts of resources */
#include "exec/container_fields.h"

#include <stdio.h>

#include "base/own.h"
#include "exec/quantity.h"

static const char *value_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text && strlen(text) == json_string_length(json_object_get(object, key))
               ? text
               : NULL;
}

/* --- fieldRef --- */

/* metadata.labels['KEY']: the key, owned by the caller; NULL: it is another field. */
static char *key_of(const char *path, const char *list)
{
    struct str rest = str_of(path), prefix = str_of(list);

    if (!str_starts(rest, prefix) || !str_ends(rest, STR("']")) ||
        rest.len < prefix.len + 4 || !str_starts(str_skip(rest, prefix.len), STR("['")))
        return NULL;
    return str_dup(str_first(str_skip(rest, prefix.len + 2), rest.len - prefix.len - 4));
}

/* The value of a label that a template does not have is unknown, because its pods may have it. */
static bool read_entry(const struct container_parts *c, const char *list, const char *key,
                       char **ret)
{
    const json_t *metadata = json_object_get(c->pod, "metadata");
    const char *value = value_at(json_object_get(metadata, list), key);

    if (!value && !c->is_running)
        return false;
    *ret = xstrdup(value ? value : "");
    return true;
}

/* "10.0.0.1,fd00::1". */
static char *join_addresses(const json_t *list)
{
    char *joined = xstrdup("");
    size_t i;
    json_t *one;

    json_array_foreach(list, i, one)
    {
        const char *ip = value_at(one, "ip");
        char *longer = xasprintf("%s%s%s", joined, joined[0] ? "," : "", ip ? ip : "");
        free(joined);
        joined = longer;
    }
    return joined;
}

static const struct {
    const char *path, *part, *key;
} of_pod[] = {
    { "metadata.name", "metadata", "name" }, { "metadata.uid", "metadata", "uid" },
    { "spec.nodeName", "spec", "nodeName" }, { "status.hostIP", "status", "hostIP" },
    { "status.podIP", "status", "podIP" },
};

static bool read_of_pod(const struct container_parts *c, const char *path, char **ret)
{
    const json_t *status = json_object_get(c->pod, "status");

    if (strcmp(path, "status.podIPs") == 0 || strcmp(path, "status.hostIPs") == 0) {
        *ret = join_addresses(json_object_get(status, path + strlen("status.")));
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(of_pod); i++) {
        if (strcmp(path, of_pod[i].path) != 0)
            continue;
        const char *value =
            value_at(json_object_get(c->pod, of_pod[i].part), of_pod[i].key);
        *ret = xstrdup(value ? value : "");
        return true;
    }
    return false;
}

static bool read_field(const struct container_parts *c, const char *path, char **ret)
{
    AUTO_FREE char *label = key_of(path, "metadata.labels");
    AUTO_FREE char *annotation = key_of(path, "metadata.annotations");
    const char *account = value_at(json_object_get(c->pod, "spec"), "serviceAccountName");

    if (label || annotation)
        return read_entry(c, label ? "labels" : "annotations", label ? label : annotation,
                          ret);
    if (strcmp(path, "metadata.namespace") == 0)
        *ret = xstrdup(c->ns);
    else if (strcmp(path, "spec.serviceAccountName") == 0)
        *ret = xstrdup(account ? account : "default");
    else
        return c->is_running && read_of_pod(c, path, ret);
    return true;
}

/* --- resourceFieldRef --- */

static const json_t *container_named(const struct container_parts *c, const char *name)
{
    const json_t *found = c->container;

    if (name && container_find(c->pod, name, &found, NULL))
        return NULL;
    return found;
}

/* The amount; NULL: none is given. */
static const char *amount_of(const json_t *resources, const char *list, const char *of)
{
    const char *amount = value_at(json_object_get(resources, list), of);

    if (!amount && strcmp(list, "requests") == 0) /* as the API server has it */
        amount = value_at(json_object_get(resources, "limits"), of);
    return amount;
}

static bool divide(const char *amount, const char *divisor, bool cpu, char **ret)
{
    uint64_t whole, part;

    if (quantity_parse(str_of(amount), &whole) || quantity_parse(str_of(divisor), &part))
        return false;
    if (!part)
        part = 1000;
    if (!cpu) { /* rounded up to whole ones first */
        whole = whole / 1000 + (whole % 1000 != 0);
        part = part / 1000 + (part % 1000 != 0);
    }
    uint64_t count = whole / part + (whole % part != 0);
    *ret = xasprintf("%llu", (unsigned long long)count);
    return true;
}

/* Without a limit it is what the node has. */
static bool read_resource(const struct container_parts *c, const json_t *reference,
                          char **ret)
{
    const char *resource = value_at(reference, "resource");
    const char *divisor = value_at(reference, "divisor");
    const json_t *of = container_named(c, value_at(reference, "containerName"));
    struct str list, name = str_cut(str_of(resource), '.', &list);

    if (!of || str_empty(name))
        return false;
    AUTO_FREE char *list_text = str_dup(list);
    const char *amount = amount_of(json_object_get(of, "resources"), list_text, name.at);
    if (!amount && strcmp(list_text, "requests") == 0)
        amount = "0";
    return amount && divide(amount, divisor && strcmp(divisor, "0") != 0 ? divisor : "1",
                            strcmp(name.at, "cpu") == 0, ret);
}

bool container_field(const struct container_parts *c, const json_t *from, char **ret)
{
    const char *path = value_at(json_object_get(from, "fieldRef"), "fieldPath");
    const json_t *resource = json_object_get(from, "resourceFieldRef");

    if (path)
        return read_field(c, path, ret);
    return resource && read_resource(c, resource, ret);
}
