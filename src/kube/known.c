#include "kube/known.h"

#include "base/own.h"

#define KEY_ROOM 520

struct known_object {
    uint32_t uid; /* its hash: two that follow each other under one name differ */
    uint32_t generation;
    uint32_t bytes;
    uint16_t key_len;
    char key[];
};

static struct str key_of_known(const void *object)
{
    const struct known_object *o = object;

    return (struct str){ o->key, o->key_len };
}

void known_init(struct known *k,
                void (*on_event)(void *owner, enum api_event, json_t *object),
                void *owner)
{
    *k = (struct known){ .on_event = on_event, .owner = owner };
    set_init(&k->objects, key_of_known);
}

void known_finish(struct known *k)
{
    size_t at = 0;

    for (struct known_object *o; (o = set_next(&k->objects, &at));)
        free(o);
    set_finish(&k->objects);
}

static const char *known_text_at(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* The API server allows 63 and 253 bytes: cut off, none is mistaken for another. */
static struct str key_of(json_t *metadata, char room[static KEY_ROOM])
{
    size_t len =
        str_append(room, KEY_ROOM, 0, str_of(known_text_at(metadata, "namespace")));

    len = str_append(room, KEY_ROOM, len, STR("/"));
    return (struct str){ room, str_append(room, KEY_ROOM, len,
                                          str_of(known_text_at(metadata, "name"))) };
}

static void report_gone(struct known *k, struct str key)
{
    struct str ns, name = str_cut(key, '/', &ns);
    AUTO_FREE char *ns_text = str_dup(ns);
    json_t *object = json_pack("{s:{s:s,s:s%}}", "metadata", "namespace", ns_text, "name",
                               name.at, name.len);
    if (object)
        k->on_event(k->owner, API_DELETED, object);
    json_decref(object);
}

static void drop(struct known *k, struct str key)
{
    struct known_object *o = set_remove(&k->objects, key);

    k->bytes -= o ? o->bytes : 0;
    free(o);
}

static struct known_object *add(struct known *k, struct str key, uint32_t uid)
{
    struct known_object *o = xcalloc(1, offsetof(struct known_object, key) + key.len);

    o->uid = uid;
    o->key_len = (uint16_t)key.len;
    memcpy(o->key, key.at, key.len);
    set_add(&k->objects, o);
    return o;
}

void known_learn(struct known *k, json_t *object, size_t bytes)
{
    json_t *metadata = json_object_get(object, "metadata");
    uint32_t uid = (uint32_t)str_hash(str_of(known_text_at(metadata, "uid")));
    char room[KEY_ROOM];
    struct str key = key_of(metadata, room);
    struct known_object *o = set_get(&k->objects, key);
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
    char room[KEY_ROOM];

    drop(k, key_of(json_object_get(object, "metadata"), room));
    k->on_event(k->owner, API_DELETED, object);
}

void known_drop_older(struct known *k)
{
    size_t at = 0;

    for (struct known_object *o; (o = set_next(&k->objects, &at));) {
        if (o->generation == k->generation)
            continue;
        set_remove(&k->objects, key_of_known(o));
        k->bytes -= o->bytes;
        report_gone(k, key_of_known(o));
        free(o);
    }
}
