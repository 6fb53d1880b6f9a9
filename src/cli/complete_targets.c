/* cli/complete_targets.c - targets and ports of port-forward for completion */
#include "cli/complete_targets.h"

#include <jansson.h>
#include <stdio.h>

#include "base/own.h"
#include "cli/complete_names.h"
#include "forward/spec.h"

/* As people type them. */
static const char *const types[] = { "deploy/", "ds/", "job/", "pod/",
                                     "rc/",     "rs/", "sts/", "svc/" };

struct wanted {
    const struct typed_word *word;
    enum forward_kind kind;
    const char *type; /* as typed: "svc" */
    const char *name; /* "": all objects */
};

static const char *text_in(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static char *path_of(void *owner, const char *ns)
{
    const struct wanted *w = owner;
    return forward_kind_path(w->kind, ns, w->name);
}

static void ask(const struct typed_word *t, struct wanted *w,
                void (*on_object)(void *owner, json_t *object))
{
    AUTO(config_unrefp) struct config *config = NULL;

    complete_settings(t, &config);
    if (!config)
        return;
    const struct complete_call call = { .config = config,
                                        .path_of = path_of,
                                        .single = w->name[0] != '\0',
                                        .on_object = on_object,
                                        .owner = w };
    complete_call_run(&call);
}

/* --- names --- */

static void on_named(void *owner, json_t *object)
{
    const struct wanted *w = owner;
    const char *name = text_in(json_object_get(object, "metadata"), "name");
    AUTO_FREE char *text = xasprintf("%s/%s", w->type, name);

    if (*name)
        print_candidate(w->word, text, NULL);
}

static void print_objects(const struct typed_word *t)
{
    struct wanted w = { .word = t, .name = "" };
    struct str type;

    str_cut(t->word, '/', &type);
    AUTO_FREE char *typed = str_dup(type);
    w.type = typed;
    if (forward_kind_find(type, &w.kind))
        ask(t, &w, on_named);
}

/* --- ports --- */

static void print_port(const struct wanted *w, const json_t *port, const char *key)
{
    const char *name = text_in(port, "name"), *protocol = text_in(port, "protocol");
    json_int_t number = json_integer_value(json_object_get(port, key));
    AUTO_FREE char *text = xasprintf("%lld", (long long)number);

    if (*protocol && strcmp(protocol, "TCP") != 0)
        return;
    print_candidate(w->word, text, *name ? name : NULL);
    if (*name)
        print_candidate(w->word, name, text);
}

/* Of a Service, a pod, or what has a template of pods. */
static void on_object(void *owner, json_t *object)
{
    const struct wanted *w = owner;
    const json_t *spec = json_object_get(object, "spec");
    const json_t *of_pod = json_object_get(json_object_get(spec, "template"), "spec");
    json_t *port, *container;
    size_t i, j;

    json_array_foreach(json_object_get(spec, "ports"), i, port)
        print_port(w, port, "port");
    json_array_foreach(json_object_get(of_pod ? of_pod : spec, "containers"), i,
                       container)
        json_array_foreach(json_object_get(container, "ports"), j, port)
            print_port(w, port, "containerPort");
}

/* The target whose ports are typed; NULL: there is none yet. */
static const char *last_target(const struct typed_word *t)
{
    for (size_t i = t->before_count; i > 0; i--)
        if (strchr(t->before[i - 1], '/') && t->before[i - 1][0] != '-')
            return t->before[i - 1];
    return NULL;
}

static void print_ports(const struct typed_word *t, const char *target)
{
    struct typed_word remote = *t;
    struct str local, after = str_cut(t->word, ':', &local);
    struct wanted w = { .word = &remote };
    AUTO_FREE char *name = NULL;
    struct diag why = { "" };

    if (forward_target_parse(str_of(target), &w.kind, &name, &why))
        return;
    w.name = name;
    if (after.at) {
        size_t kept = local.len + 1;
        remote.word = after;
        remote.cut = t->cut > kept ? t->cut - kept : 0;
        remote.prefix = t->cut_at_equals ? STR("") : (struct str){ t->word.at, kept };
    }
    ask(t, &w, on_object);
}

void print_targets(const struct typed_word *t)
{
    const char *target = last_target(t);

    if (memchr(t->word.at, '/', t->word.len)) {
        print_objects(t);
        return;
    }
    if (target)
        print_ports(t, target);
    for (size_t i = 0; i < ARRAY_LEN(types) && (!target || !str_empty(t->word)); i++)
        print_candidate(t, types[i], NULL);
}
