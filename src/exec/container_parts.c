/* exec/container_parts.c - a container in a pod or in the template of a workload */
#include "exec/container_parts.h"

static struct str text_of(const json_t *object, const char *key)
{
    const json_t *text = json_object_get(object, key);

    if (!json_is_string(text))
        return STR("");
    return (struct str){ json_string_value(text), json_string_length(text) };
}

const json_t *container_pod(const json_t *object)
{
    const json_t *spec = json_object_get(object, "spec");
    const json_t *job = json_object_get(spec, "jobTemplate");

    if (job)
        spec = json_object_get(job, "spec");
    const json_t *template = json_object_get(spec, "template");
    const json_t *pod = template ? template : object;
    return json_is_array(json_object_get(json_object_get(pod, "spec"), "containers"))
               ? pod
               : NULL;
}

static const json_t *find_in(const json_t *list, struct str name)
{
    size_t i;
    json_t *one;

    json_array_foreach(list, i, one) if (str_eq(text_of(one, "name"), name)) return one;
    return NULL;
}

static const json_t *find_named(const json_t *pod, struct str name)
{
    const json_t *spec = json_object_get(pod, "spec");
    const json_t *one = find_in(json_object_get(spec, "containers"), name);

    return one ? one : find_in(json_object_get(spec, "initContainers"), name);
}

static enum err no_container(const json_t *containers, const char *name, struct diag *why)
{
    char names[160] = "";
    size_t len = 0, i;
    json_t *one;

    json_array_foreach(containers, i, one)
    {
        len = str_append(names, sizeof(names) - 1, len, STR(" "));
        len = str_append(names, sizeof(names) - 1, len, text_of(one, "name"));
    }
    return diag_set(why, ERR_NOT_FOUND, "no container \"%s\"; there are:%s", name, names);
}

enum err container_find(const json_t *pod, const char *name, const json_t **ret,
                        struct diag *why)
{
    const json_t *list = json_object_get(json_object_get(pod, "spec"), "containers");
    const json_t *annotations =
        json_object_get(json_object_get(pod, "metadata"), "annotations");
    struct str usual = text_of(annotations, "kubectl.kubernetes.io/default-container");

    *ret = find_named(pod, name ? str_of(name) : usual);
    if (!*ret && !name)
        *ret = json_array_get(list, 0);
    return *ret ? OK : no_container(list, name ? name : "", why);
}
