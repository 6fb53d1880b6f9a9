/* exec/container.c - the variables that a container of a workload or pod would have */
#include "exec/container.h"

#include "base/base64.h"
#include "base/own.h"
#include "exec/container_fields.h"

static struct str text_at(const json_t *object, const char *key)
{
    const json_t *text = json_object_get(object, key);

    if (!json_is_string(text))
        return STR("");
    return (struct str){ json_string_value(text), json_string_length(text) };
}

/* --- which objects --- */

static void add_reference(const json_t *reference, struct texts *names)
{
    struct str name = text_at(reference, "name");

    for (size_t i = 0; i < names->count; i++)
        if (str_eq(str_of(names->at[i]), name))
            return;
    if (!str_empty(name))
        texts_add(names, str_dup(name));
}

void container_references(const json_t *container, struct texts *config_maps,
                          struct texts *secrets)
{
    size_t i;
    json_t *one;

    json_array_foreach(json_object_get(container, "envFrom"), i, one)
    {
        add_reference(json_object_get(one, "configMapRef"), config_maps);
        add_reference(json_object_get(one, "secretRef"), secrets);
    }
    json_array_foreach(json_object_get(container, "env"), i, one)
    {
        const json_t *from = json_object_get(one, "valueFrom");
        add_reference(json_object_get(from, "configMapKeyRef"), config_maps);
        add_reference(json_object_get(from, "secretKeyRef"), secrets);
    }
}

/* --- values of ConfigMaps and Secrets --- */

/* What a reference leads to. */
struct source {
    const json_t *objects;
    const char *kind;
    bool secret;
};

static struct source source_of(const struct container_parts *c, bool secret)
{
    return secret ? (struct source){ c->secrets, "Secret", true }
                  : (struct source){ c->config_maps, "ConfigMap", false };
}

/* Sets a variable to a value as the object has it: of a Secret it is base64. */
static enum err set_from(struct variables *v, struct str name, const json_t *value,
                         bool secret, struct diag *why)
{
    struct str text = { json_string_value(value), json_string_length(value) };
    AUTO_FREE char *decoded = NULL;

    if (!json_is_string(value))
        return variables_set(v, name, STR(""), OMITTED_INVALID, why);
    if (secret && base64_decode(text, &decoded, &text.len))
        return variables_set(v, name, STR(""), OMITTED_INVALID, why);
    if (secret)
        text.at = decoded;
    return variables_set(v, name, text, OMITTED_NOT, why);
}

static enum err set_from_object(const struct container_parts *c, struct str prefix,
                                const json_t *reference, bool secret, struct variables *v,
                                struct diag *why)
{
    struct source from = source_of(c, secret);
    struct str name = text_at(reference, "name");
    AUTO_FREE char *key_of_object = str_dup(name);
    const json_t *object = json_object_get(from.objects, key_of_object);
    bool optional = json_is_true(json_object_get(reference, "optional"));
    const char *key;
    json_t *value;

    if (secret && !c->with_secrets) { /* its keys are not known */
        AUTO_FREE char *all = xasprintf("Secret %s", key_of_object);
        return variables_set(v, str_of(all), STR(""), OMITTED_SECRET, why);
    }
    if (!object && optional)
        return OK;
    if (!object)
        return diag_set(why, ERR_NOT_FOUND,
                        "the container needs the %s %s, which does "
                        "not exist",
                        from.kind, key_of_object);
    enum err e = OK;
    json_object_foreach(json_object_get(object, "data"), key, value)
    {
        AUTO_FREE char *whole = xasprintf("%.*s%s", STR_ARG(prefix), key);
        if (!e)
            e = set_from(v, str_of(whole), value, secret, why);
    }
    return e;
}

static enum err set_from_key(const struct container_parts *c, struct str name,
                             const json_t *reference, bool secret, struct variables *v,
                             struct diag *why)
{
    struct source from = source_of(c, secret);
    AUTO_FREE char *object_name = str_dup(text_at(reference, "name"));
    AUTO_FREE char *key = str_dup(text_at(reference, "key"));
    const json_t *object = json_object_get(from.objects, object_name);
    const json_t *value = json_object_get(json_object_get(object, "data"), key);

    if (secret && !c->with_secrets)
        return variables_set(v, name, STR(""), OMITTED_SECRET, why);
    if (value)
        return set_from(v, name, value, secret, why);
    if (json_is_true(json_object_get(reference, "optional")))
        return OK;
    if (!object)
        return diag_set(why, ERR_NOT_FOUND,
                        "the container needs the %s %s, which does "
                        "not exist",
                        from.kind, object_name);
    return diag_set(why, ERR_NOT_FOUND,
                    "the container needs the key %s of the %s %s, "
                    "which does not exist",
                    key, from.kind, object_name);
}

/* --- env --- */

static enum err set_from_reference(const struct container_parts *c, struct str name,
                                   const json_t *from, struct variables *v,
                                   struct diag *why)
{
    const json_t *config_map = json_object_get(from, "configMapKeyRef");
    const json_t *secret = json_object_get(from, "secretKeyRef");
    AUTO_FREE char *value = NULL;

    if (config_map || secret)
        return set_from_key(c, name, secret ? secret : config_map, secret != NULL, v,
                            why);
    if (!container_field(c, from, &value))
        return variables_set(v, name, STR(""), OMITTED_UNKNOWN, why);
    return variables_set(v, name, str_of(value), OMITTED_NOT, why);
}

static enum err set_from_env(const struct container_parts *c, const json_t *one,
                             struct variables *v, struct diag *why)
{
    struct str name = text_at(one, "name"), value = text_at(one, "value");
    const json_t *from = json_object_get(one, "valueFrom");
    enum omission omitted = OMITTED_NOT;
    size_t len;

    if (str_empty(value) && json_is_object(from))
        return set_from_reference(c, name, from, v, why);
    AUTO_FREE char *expanded = variables_expand(v, value, &omitted, &len);
    return variables_set(v, name, (struct str){ expanded, len }, omitted, why);
}

enum err container_variables(const struct container_parts *c, struct variables *ret,
                             struct diag *why)
{
    enum err e = OK;
    size_t i;
    json_t *one;

    json_array_foreach(json_object_get(c->container, "envFrom"), i, one)
    {
        const json_t *secret = json_object_get(one, "secretRef");
        const json_t *config_map = json_object_get(one, "configMapRef");
        if (!e && (secret || config_map))
            e = set_from_object(c, text_at(one, "prefix"), secret ? secret : config_map,
                                secret != NULL, ret, why);
    }
    json_array_foreach(json_object_get(c->container, "env"), i, one) if (!e) e =
        set_from_env(c, one, ret, why);
    return e;
}
