#include "playground/api/object.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const json_t *object_at(const json_t *object, ...)
{
    va_list keys;
    va_start(keys, object);
    for (const char *key; (key = va_arg(keys, const char *));)
        object = json_object_get(object, key);
    va_end(keys);
    return object;
}

static const char *metadata_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(object_at(object, "metadata", key, NULL));
    return text ? text : "";
}

const char *object_name(const json_t *object)
{
    return metadata_text(object, "name");
}

const char *object_namespace(const json_t *object)
{
    return metadata_text(object, "namespace");
}

const char *object_uid(const json_t *object)
{
    return metadata_text(object, "uid");
}

const json_t *object_labels(const json_t *object)
{
    return object_at(object, "metadata", "labels", NULL);
}

uint64_t object_revision(const json_t *object)
{
    return strtoull(metadata_text(object, "resourceVersion"), NULL, 10);
}

bool pod_ready(const json_t *pod)
{
    const json_t *conditions = object_at(pod, "status", "conditions", NULL);
    size_t i;
    json_t *c;

    json_array_foreach(conditions, i, c)
    {
        const char *type = json_string_value(json_object_get(c, "type"));
        const char *status = json_string_value(json_object_get(c, "status"));
        if (type && status && strcmp(type, "Ready") == 0)
            return strcmp(status, "True") == 0;
    }
    return false;
}

bool pod_terminating(const json_t *pod)
{
    return object_at(pod, "metadata", "deletionTimestamp", NULL) != NULL;
}

void time_text(time_t t, char out[static TIME_TEXT])
{
    struct tm parts;
    gmtime_r(&t, &parts);
    strftime(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

time_t time_parse(const char *text)
{
    struct tm parts = { 0 };
    return text && strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts) ? timegm(&parts) : 0;
}
