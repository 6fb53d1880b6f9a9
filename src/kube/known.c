#include "kube/known.h"

#include "base/own.h"

struct known_object {
    uint64_t uid; /* its hash: two that follow each other under one name differ */
    uint32_t generation;
    uint32_t bytes;
};

void known_init(struct known *k,
                void (*on_event)(void *owner, enum api_event, json_t *object),
                void *owner)
{
    *k = (struct known){ .on_event = on_event, .owner = owner };
    map_init(&k->objects);
}

void known_finish(struct known *k)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&k->objects, &at));)
        free(e->value);
    map_finish(&k->objects);
}

static const char *known_text_at(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static char *key_of(json_t *metadata)
{
    return xasprintf("%s/%s", known_text_at(metadata, "namespace"),
                     known_text_at(metadata, "name"));
}

static void report_gone(struct known *k, const char *key)
{
    struct str ns, name = str_cut(str_of(key), '/', &ns);
    AUTO_FREE char *ns_text = str_dup(ns);
    json_t *object = json_pack("{s:{s:s,s:s%}}", "metadata", "namespace", ns_text, "name",
                               name.at, name.len);
    if (object)
        k->on_event(k->owner, API_DELETED, object);
    json_decref(object);
}

static void drop(struct known *k, const char *key)
{
    struct known_object *o = map_remove(&k->objects, str_of(key));

    k->bytes -= o ? o->bytes : 0;
    free(o);
}

static struct known_object *add(struct known *k, const char *key, uint64_t uid)
{
    struct known_object *o = xcalloc(1, sizeof(*o));

    o->uid = uid;
    map_set(&k->objects, str_of(key), o);
    return o;
}

void known_learn(struct known *k, json_t *object, size_t bytes)
{
    json_t *metadata = json_object_get(object, "metadata");
    uint64_t uid = str_hash(str_of(known_text_at(metadata, "uid")));
    AUTO_FREE char *key = key_of(metadata);
    struct known_object *o = map_get(&k->objects, str_of(key));
    enum api_event event = API_MODIFIED;

    if (o && o->uid != uid) {
        report_gone(k, key);
        drop(k, key);
        o = NULL;
    }
    if (!o) {
        o = add(k, key, uid);
        event = API_ADDED;
    }
    o->generation = k->generation;
    k->bytes += bytes - o->bytes;
    o->bytes = (uint32_t)bytes; /* less than OBJECT_MAX */
    k->on_event(k->owner, event, object);
}

void known_forget(struct known *k, json_t *object)
{
    AUTO_FREE char *key = key_of(json_object_get(object, "metadata"));

    drop(k, key);
    k->on_event(k->owner, API_DELETED, object);
}

void known_drop_older(struct known *k)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&k->objects, &at));) {
        const struct known_object *o = e->value;
        if (o->generation == k->generation)
            continue;
        AUTO_FREE char *key = xstrdup(e->key);
        drop(k, key);
        report_gone(k, key);
    }
}
