/* cli/complete_names.c - names of the cluster for completion */
#include "cli/complete_names.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/map.h"
#include "base/own.h"
#include "cli/api_session.h"
#include "cli/command.h"
#include "control/client.h"
#include "kube/kubeconfig.h"
#include "serve/policy.h"

#define LIST_MS 900
#define BACKSTOP_S 20
#define SERVICES_MAX "2000" /* of a running kube-tunnel, after the prefix was applied */

void complete_settings(const struct typed_word *t, struct config **ret)
{
    struct diag why = { "" };
    char **argv = xcalloc(t->before_count + 2, sizeof(*argv));
    struct args args;

    argv[0] = "kube-tunnel";
    for (size_t i = 0; i < t->before_count; i++)
        argv[i + 1] = (char *)(uintptr_t)t->before[i];
    enum err e = args_parse(&args, (int)t->before_count + 1, argv, &why);
    if (!e)
        e = read_config(&args, ret, &why);
    if (e)
        *ret = NULL;
    args_finish(&args);
    free(argv);
}

/* --- services --- */

struct names {
    const struct typed_word *word;
    const struct config *config;
    bool namespaces; /* each once, instead of services */
    struct map seen;
};

static void add_name(struct names *n, const char *service, const char *ns)
{
    if (!policy_opens(n->config, str_of(ns)))
        return;
    if (!n->namespaces) {
        AUTO_FREE char *name = xasprintf("%s.%s", service, ns);
        print_candidate(n->word, name, NULL);
        return;
    }
    if (map_get(&n->seen, str_of(ns)))
        return;
    map_set(&n->seen, str_of(ns), n);
    print_candidate(n->word, ns, NULL);
}

static void add_full_name(struct names *n, const char *name)
{
    struct str ns, service, rest = str_cut(str_of(name), '.', &service);

    str_cut(rest, '.', &ns);
    AUTO_FREE char *first = str_dup(service);
    AUTO_FREE char *second = str_dup(ns);
    if (n->namespaces)
        add_name(n, first, second);
    else
        print_candidate(n->word, name, NULL);
}

/* False: no kube-tunnel runs. */
static bool ask_running(struct names *n)
{
    struct control_reply reply = { 0 };
    struct diag why = { "" };
    AUTO_FREE char *word = str_dup(n->word->word);
    AUTO_FREE char *prefix = query_encode(n->namespaces ? "" : word);
    AUTO_FREE char *path =
        xasprintf("/v1/services?names=true%s%s%s%s", prefix[0] ? "&prefix=" : "", prefix,
                  n->namespaces ? "" : "&limit=", n->namespaces ? "" : SERVICES_MAX);
    json_t *name;
    size_t i;

    if (control_call(n->config->name, "GET", path, NULL, &reply, &why))
        return false;
    json_array_foreach(json_object_get(reply.json, "services"), i, name)
        add_full_name(n, json_is_string(name) ? json_string_value(name) : "");
    json_decref(reply.json);
    return reply.status < 300;
}

static void on_service(void *owner, json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *name = json_string_value(json_object_get(metadata, "name"));
    const char *ns = json_string_value(json_object_get(metadata, "namespace"));

    if (name && ns)
        add_name(owner, name, ns);
}

struct direct_list {
    struct api_session session;
    struct api_call call;
    struct task answered;
};

static void on_services_answer(struct task *t)
{
    struct direct_list *d = container_of(t, struct direct_list, answered);

    if (d->call.result != ERR_AGAIN)
        loop_stop(d->session.loop);
}

static enum err call_once(struct direct_list *d, const char *path, bool single,
                          void (*on_object)(void *owner, json_t *object), void *owner)
{
    d->call =
        (struct api_call){ .on_object = on_object, .owner = owner, .wake = &d->answered };
    if (single)
        api_get(d->session.api, &d->call, path, LIST_MS);
    else
        api_list(d->session.api, &d->call, path, NULL, LIST_MS);
    loop_run(d->session.loop);
    enum err e = d->call.result;
    api_call_finish(&d->call);
    return e;
}

static void ask_api_server(struct names *n)
{
    struct direct_list d = { 0 };
    struct diag why = { "" };

    log_set_level(LEVEL_ERROR);
    alarm(BACKSTOP_S); /* instead of the one that runs: plugins end with the session */
    if (!api_session_open(&d.session, n->config, LIST_MS, &why)) {
        task_init(&d.answered, loop_sched(d.session.loop), RANK_WORK, on_services_answer);
        AUTO_FREE char *home =
            xasprintf("/api/v1/namespaces/%s/services", api_target(d.session.api)->ns);
        if (call_once(&d, "/api/v1/services", false, on_service, n) == ERR_FORBIDDEN) {
            enum err e = call_once(&d, home, false, on_service, n);
            (void)e; /* no candidates, then */
        }
        task_cancel(&d.answered);
    }
    api_session_close(&d.session);
}

void complete_call_run(const struct complete_call *c)
{
    struct direct_list d = { 0 };
    struct diag why = { "" };

    log_set_level(LEVEL_ERROR);
    alarm(BACKSTOP_S); /* as above */
    if (!api_session_open(&d.session, c->config, LIST_MS, &why)) {
        task_init(&d.answered, loop_sched(d.session.loop), RANK_WORK, on_services_answer);
        AUTO_FREE char *path = c->path_of(c->owner, api_target(d.session.api)->ns);
        enum err e = call_once(&d, path, c->single, c->on_object, c->owner);
        (void)e; /* no candidates, then */
        task_cancel(&d.answered);
    }
    api_session_close(&d.session);
}

static void print_names(const struct typed_word *t, bool namespaces)
{
    AUTO(config_unrefp) struct config *config = NULL;
    struct names n = { .word = t, .namespaces = namespaces };

    complete_settings(t, &config);
    if (!config)
        return;
    n.config = config;
    map_init(&n.seen);
    if (!ask_running(&n))
        ask_api_server(&n);
    map_finish(&n.seen);
}

void print_services(const struct typed_word *t)
{
    print_names(t, false);
}

void print_namespaces(const struct typed_word *t)
{
    print_names(t, true);
}

/* --- contexts --- */

void print_contexts(const struct typed_word *t)
{
    AUTO(config_unrefp) struct config *config = NULL;
    struct kubeconfig *kc = NULL;
    struct diag why = { "" };

    complete_settings(t, &config);
    if (kubeconfig_load(config ? config->kubeconfig : NULL, &kc, &why))
        return;
    list_for_each (c, &kc->contexts.list, struct kc_context, entry.node)
        print_candidate(t, c->entry.name, c->cluster);
    print_candidate(t, "all", "every context");
    kubeconfig_destroy(kc);
}
