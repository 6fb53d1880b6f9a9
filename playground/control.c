#include "playground/control.h"

#include "base/own.h"
#include "playground/api/connection.h"
#include "playground/api/object.h"
#include "playground/demo.h"
#include "playground/forward/session.h"
#include "playground/head.h"
#include "playground/scale.h"
#include "playground/server.h"

#define WORDS_MAX 6

struct command_line {
    struct str words[WORDS_MAX];
    size_t count;
};

static enum err command_take_number(struct str word, uint64_t *ret, struct diag *why)
{
    enum err e = str_to_uint(word, UINT32_MAX, ret);
    return e ? diag_set(why, e, "\"%.*s\" is not a number", STR_ARG(word)) : OK;
}

static enum err take_switch(struct str word, bool *ret, struct diag *why)
{
    bool on = str_eq(word, STR("on")) || str_eq(word, STR("true"));
    if (!on && !str_eq(word, STR("off")) && !str_eq(word, STR("false")))
        return diag_set(why, ERR_CONFIG, "\"%.*s\" is neither on nor off", STR_ARG(word));
    *ret = on;
    return OK;
}

/* "namespace/name", both owned by the caller. */
struct named {
    char *ns, *name;
};

static void named_finish(struct named *n)
{
    free(n->ns);
    free(n->name);
}

static struct named take_named(struct str word)
{
    struct str ns;
    struct str name = str_cut(word, '/', &ns);
    return (struct named){ str_dup(ns), str_dup(name) };
}

static enum err find_pod(struct cluster *c, const struct named *n, json_t **ret,
                         struct diag *why)
{
    *ret = store_get(c->store, KIND_POD, n->ns, n->name);
    return *ret ? OK
                : diag_set(why, ERR_NOT_FOUND, "there is no pod %s/%s", n->ns, n->name);
}

static enum err pod_delete(struct cluster *c, const struct command_line *l,
                           struct diag *why)
{
    AUTO(named_finish) struct named n = take_named(l->words[2]);
    if (!store_delete(c->store, KIND_POD, n.ns, n.name))
        return diag_set(why, ERR_NOT_FOUND, "there is no pod %s/%s", n.ns, n.name);
    cluster_settle(c);
    return OK;
}

/* Replaces a pod by one with the same name and another UID, as a StatefulSet does. */
static enum err pod_replace(struct cluster *c, const struct command_line *l,
                            struct diag *why)
{
    AUTO(named_finish) struct named n = take_named(l->words[2]);
    json_t *old;
    enum err e = find_pod(c, &n, &old, why);
    if (e)
        return e;
    json_t *pod = json_deep_copy(old);
    json_object_del(json_object_get(pod, "metadata"), "uid");
    json_object_del(json_object_get(pod, "metadata"), "creationTimestamp");
    json_object_del(json_object_get(pod, "metadata"), "deletionTimestamp");
    store_delete(c->store, KIND_POD, n.ns, n.name);
    cluster_settle(c);
    store_put(c->store, KIND_POD, pod);
    cluster_settle(c);
    return OK;
}

static enum err pod_set_ready(struct cluster *c, const struct command_line *l,
                              struct diag *why)
{
    AUTO(named_finish) struct named n = take_named(l->words[2]);
    json_t *old;
    bool ready = false;
    size_t i;
    json_t *condition;
    enum err e = take_switch(l->words[3], &ready, why);
    if (!e)
        e = find_pod(c, &n, &old, why);
    if (e)
        return e;

    json_t *pod = json_deep_copy(old);
    json_array_foreach(object_at(pod, "status", "conditions", NULL), i, condition)
    {
        const char *type = json_string_value(json_object_get(condition, "type"));
        if (type && (strcmp(type, "Ready") == 0 || strcmp(type, "ContainersReady") == 0))
            json_object_set_new(condition, "status",
                                json_string(ready ? "True" : "False"));
    }
    store_put(c->store, KIND_POD, pod);
    cluster_settle(c);
    return OK;
}

/* Makes a pod terminating; it still serves. */
static enum err pod_terminate(struct cluster *c, const struct command_line *l,
                              struct diag *why)
{
    AUTO(named_finish) struct named n = take_named(l->words[2]);
    char now[TIME_TEXT];
    json_t *old;
    enum err e = find_pod(c, &n, &old, why);
    if (e)
        return e;
    json_t *pod = json_deep_copy(old);
    time_text(time(NULL), now);
    json_object_set_new(json_object_get(pod, "metadata"), "deletionTimestamp",
                        json_string(now));
    store_put(c->store, KIND_POD, pod);
    cluster_settle(c);
    return OK;
}

static enum err pod_add(struct cluster *c, const struct command_line *l, struct diag *why)
{
    AUTO(named_finish) struct named n = take_named(l->words[2]);
    AUTO_FREE char *app = str_dup(l->words[3]);
    if (!*n.ns || !*n.name)
        return diag_set(why, ERR_CONFIG, "a pod needs NAMESPACE/NAME");
    store_put(c->store, KIND_POD, demo_pod(c->store, n.ns, n.name, app, NULL));
    cluster_settle(c);
    return OK;
}

static enum err service_delete(struct cluster *c, const struct command_line *l,
                               struct diag *why)
{
    AUTO(named_finish) struct named n = take_named(l->words[2]);
    if (!store_delete(c->store, KIND_SERVICE, n.ns, n.name))
        return diag_set(why, ERR_NOT_FOUND, "there is no service %s/%s", n.ns, n.name);
    cluster_settle(c);
    return OK;
}

static enum err service_create(struct cluster *c, const struct command_line *l,
                               struct diag *why)
{
    AUTO(named_finish) struct named n = take_named(l->words[2]);
    uint64_t port;
    uint64_t target;
    enum err e = command_take_number(l->words[4], &port, why);
    if (!e)
        e = command_take_number(l->words[5], &target, why);
    if (e)
        return e;
    AUTO_FREE char *spec = xasprintf("{\"selector\":{\"app\":\"%.*s\"},\"ports\":["
                                     "{\"port\":%llu,\"targetPort\":%llu}]}",
                                     STR_ARG(l->words[3]), (unsigned long long)port,
                                     (unsigned long long)target);
    store_put(c->store, KIND_SERVICE, demo_service(c->store, n.ns, n.name, spec));
    cluster_settle(c);
    return OK;
}

static enum err set_target(struct cluster *c, const struct command_line *l,
                           enum pod_fault fault)
{
    faults_set_target(&c->faults, l->words[1], fault);
    return OK;
}

static enum err refuse(struct cluster *c, const struct command_line *l, struct diag *why)
{
    (void)why;
    return set_target(c, l, POD_REFUSES);
}

static enum err reset(struct cluster *c, const struct command_line *l, struct diag *why)
{
    (void)why;
    return set_target(c, l, POD_RESETS);
}

static enum err reset_silently(struct cluster *c, const struct command_line *l,
                               struct diag *why)
{
    (void)why;
    return set_target(c, l, POD_RESETS_SILENTLY);
}

static enum err heal(struct cluster *c, const struct command_line *l, struct diag *why)
{
    (void)why;
    return set_target(c, l, POD_WELL);
}

static enum err stall_worker(struct cluster *c, const struct command_line *l,
                             struct diag *why)
{
    uint64_t n;
    enum err e = command_take_number(l->words[1], &n, why);
    if (!e)
        sessions_stall(c, (unsigned)n);
    return e;
}

static enum err freeze(struct cluster *c, const struct command_line *l, struct diag *why)
{
    (void)l;
    (void)why;
    sessions_freeze(c);
    return OK;
}

static enum err drop_tunnels(struct cluster *c, const struct command_line *l,
                             struct diag *why)
{
    (void)l;
    (void)why;
    sessions_drop(c, DROP_ORDERLY);
    return OK;
}

static enum err reset_tunnels(struct cluster *c, const struct command_line *l,
                              struct diag *why)
{
    (void)l;
    (void)why;
    sessions_drop(c, DROP_RESET);
    return OK;
}

static enum err kill_tunnels(struct cluster *c, const struct command_line *l,
                             struct diag *why)
{
    (void)l;
    (void)why;
    sessions_drop(c, DROP_KILLED);
    return OK;
}

/* The node goes down or up: its tunnels end, and the API server cannot reach the
 * kubelet. */
static enum err node(struct cluster *c, const struct command_line *l, struct diag *why)
{
    bool up = false;
    enum err e = take_switch(l->words[1], &up, why);
    if (e)
        return e;
    c->faults.node_down = !up;
    if (!up)
        sessions_drop(c, DROP_ORDERLY);
    return OK;
}

static enum err cut_mid_frame(struct cluster *c, const struct command_line *l,
                              struct diag *why)
{
    (void)l;
    (void)why;
    sessions_cut_short(c);
    return OK;
}

static enum err cut_after_fin(struct cluster *c, const struct command_line *l,
                              struct diag *why)
{
    uint64_t ms;
    enum err e = command_take_number(l->words[1], &ms, why);
    if (!e)
        c->faults.cut_ms = (uint32_t)ms;
    return e;
}

static enum err late_verdict(struct cluster *c, const struct command_line *l,
                             struct diag *why)
{
    uint64_t ms;
    enum err e = command_take_number(l->words[1], &ms, why);
    if (!e)
        c->faults.verdict_ms = (uint32_t)ms;
    return e;
}

static enum err trickle(struct cluster *c, const struct command_line *l, struct diag *why)
{
    return take_switch(l->words[1], &c->faults.trickle, why);
}

static enum err take_count(const struct command_line *l, unsigned *ret, struct diag *why)
{
    uint64_t n;
    enum err e = command_take_number(l->words[1], &n, why);
    if (!e)
        *ret = (unsigned)n;
    return e;
}

static enum err throttle(struct cluster *c, const struct command_line *l,
                         struct diag *why)
{
    return take_count(l, &c->faults.throttled, why);
}

static enum err throttle_calls(struct cluster *c, const struct command_line *l,
                               struct diag *why)
{
    return take_count(l, &c->faults.calls_throttled, why);
}

static enum err watch_seconds(struct cluster *c, const struct command_line *l,
                              struct diag *why)
{
    return take_count(l, &c->faults.watch_s, why);
}

static enum err no_slices(struct cluster *c, const struct command_line *l,
                          struct diag *why)
{
    return take_switch(l->words[1], &c->faults.no_slices, why);
}

static enum err grant(struct cluster *c, const struct command_line *l, struct diag *why)
{
    AUTO_FREE char *rule =
        xasprintf("%.*s %.*s %.*s %.*s", STR_ARG(l->words[1]), STR_ARG(l->words[2]),
                  STR_ARG(l->words[3]), STR_ARG(l->words[4]));
    (void)why;
    faults_grant(&c->faults, str_of(rule));
    return OK;
}

static enum err empty_500(struct cluster *c, const struct command_line *l,
                          struct diag *why)
{
    return take_count(l, &c->faults.empty_500, why);
}

static enum err bare_404(struct cluster *c, const struct command_line *l,
                         struct diag *why)
{
    return take_count(l, &c->faults.bare_404, why);
}

static enum err set_denied(struct cluster *c, const struct command_line *l, bool denied)
{
    AUTO_FREE char *rule =
        xasprintf("%.*s %.*s", STR_ARG(l->words[1]), STR_ARG(l->words[2]));
    faults_deny(&c->faults, str_of(rule), denied);
    return OK;
}

static enum err deny(struct cluster *c, const struct command_line *l, struct diag *why)
{
    (void)why;
    return set_denied(c, l, true);
}

static enum err allow(struct cluster *c, const struct command_line *l, struct diag *why)
{
    (void)why;
    return set_denied(c, l, false);
}

static enum err token(struct cluster *c, const struct command_line *l, struct diag *why)
{
    bool valid = false;
    enum err e = take_switch(l->words[1], &valid, why);
    if (!e)
        c->faults.token_expired = !valid;
    return e;
}

static enum err accept_token(struct cluster *c, const struct command_line *l,
                             struct diag *why)
{
    (void)why;
    faults_set_token(&c->faults, l->words[1], true);
    return OK;
}

static enum err revoke_token(struct cluster *c, const struct command_line *l,
                             struct diag *why)
{
    (void)why;
    faults_set_token(&c->faults, l->words[1], false);
    return OK;
}

static enum err no_spdy(struct cluster *c, const struct command_line *l, struct diag *why)
{
    return take_switch(l->words[1], &c->faults.no_spdy, why);
}

/* Stops or resumes updates of slices, as if the controllers were down. */
static enum err stale(struct cluster *c, const struct command_line *l, struct diag *why)
{
    enum err e = take_switch(l->words[1], &c->faults.stale, why);
    cluster_settle(c);
    return e;
}

static enum err forget(struct cluster *c, const struct command_line *l, struct diag *why)
{
    (void)l;
    (void)why;
    store_forget(c->store);
    connections_wake(c);
    return OK;
}

static enum err restart(struct cluster *c, const struct command_line *l, struct diag *why)
{
    uint64_t ms;
    enum err e = command_take_number(l->words[1], &ms, why);
    if (!e)
        server_restart(c->server, ms);
    return e;
}

static enum err blackhole(struct cluster *c, const struct command_line *l,
                          struct diag *why)
{
    enum err e = take_switch(l->words[1], &c->faults.blackhole, why);
    server_pause(c->server, c->faults.blackhole);
    connections_wake(c);
    sessions_wake(c);
    return e;
}

static enum err well(struct cluster *c, const struct command_line *l, struct diag *why)
{
    (void)l;
    (void)why;
    faults_finish(&c->faults);
    faults_init(&c->faults);
    cluster_settle(c);
    server_pause(c->server, false);
    connections_wake(c);
    sessions_wake(c);
    return OK;
}

static enum err run_churn(struct cluster *c, const struct command_line *l,
                          struct diag *why)
{
    uint64_t n;
    enum err e = command_take_number(l->words[1], &n, why);
    if (!e)
        scale_churn(c->scale, (uint32_t)n);
    return e;
}

static enum err run_roll(struct cluster *c, const struct command_line *l,
                         struct diag *why)
{
    uint64_t n;
    enum err e = command_take_number(l->words[1], &n, why);
    if (!e)
        scale_roll(c->scale, (uint32_t)n);
    return e;
}

/* clang-format off */
static const struct command {
    const char *name; /* one word or two */
    size_t words;     /* including the arguments */
    const char *arguments, *help;
    enum err (*run)(struct cluster *c, const struct command_line *l, struct diag *why);
} commands[] = {
    { "pod delete",     3, "NS/POD",         "it is gone at once",           pod_delete },
    { "pod replace",    3, "NS/POD",         "same name, new UID",           pod_replace },
    { "pod ready",      4, "NS/POD on|off",  "",                             pod_set_ready },
    { "pod terminate",  3, "NS/POD",         "still serves, but is to go",   pod_terminate },
    { "pod add",        4, "NS/POD APP",     "running and ready",            pod_add },
    { "service delete", 3, "NS/NAME",        "",                             service_delete },
    { "service create", 6, "NS/NAME APP PORT TARGET", "",                             service_create },
    { "refuse",         2, "NS/POD:PORT",    "nothing listens there",         refuse },
    { "reset",          2, "NS/POD:PORT",    "connections are reset",        reset },
    { "reset-silently", 2, "NS/POD:PORT",    "... without a text",           reset_silently },
    { "heal",           2, "NS/POD:PORT",    "",                             heal },
    { "stall-worker",   2, "N",              "of each open tunnel",          stall_worker },
    { "freeze",         1, "",               "open tunnels: silence",        freeze },
    { "drop-tunnels",   1, "",               "open tunnels: EOF",            drop_tunnels },
    { "kill-tunnels",   1, "",               "open tunnels: FIN alone",      kill_tunnels },
    { "reset-tunnels",  1, "",               "open tunnels: RST",            reset_tunnels },
    { "cut-mid-frame",  1, "",               "open tunnels: EOF in a frame", cut_mid_frame },
    { "cut-after-fin",  2, "MS",             "instead of 1000",              cut_after_fin },
    { "late-verdict",   2, "MS",             "error streams end later",      late_verdict },
    { "trickle",        2, "on|off",         "tunnels write single bytes",   trickle },
    { "node",           2, "on|off",         "off: tunnels end, dials: 500", node },
    { "throttle",       2, "N",              "the next N dials get 429",     throttle },
    { "throttle-calls", 2, "N",              "... the next N other calls",   throttle_calls },
    { "watch-seconds",  2, "N",              "watches end after N seconds",  watch_seconds },
    { "no-slices",      2, "on|off",         "no EndpointSlice v1",          no_slices },
    { "grant",          5, "VERB RESOURCE NS NAME", "* is any",              grant },
    { "empty-500",      2, "N",              "... an empty 500",             empty_500 },
    { "bare-404",       2, "N",              "... a 404 without a Status",   bare_404 },
    { "no-spdy",        2, "on|off",         "on: as behind a gateway",      no_spdy },
    { "deny",           3, "VERB RESOURCE",  "403, whatever the rights",     deny },
    { "allow",          3, "VERB RESOURCE",  "take that back",               allow },
    { "token",          2, "on|off",         "off: it has expired, 401",     token },
    { "accept",         2, "TOKEN",          "it is good, too",              accept_token },
    { "revoke",         2, "TOKEN",          "take that back",               revoke_token },
    { "stale",          2, "on|off",         "slices do not follow pods",    stale },
    { "forget",         1, "",               "old revisions are gone: 410",  forget },
    { "restart",        2, "MS",             "away for so long",             restart },
    { "blackhole",      2, "on|off",         "read and send nothing",        blackhole },
    { "churn",          2, "N",              "N slices change each second", run_churn },
    { "roll",           2, "N",              "replace roll/roll's pods, N/s", run_roll },
    { "well",           1, "",               "end all misbehaviour",         well },
};
/* clang-format on */

static void help(struct text *output)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        text_printf(output, "%s %s  %s\n", commands[i].name, commands[i].arguments,
                    commands[i].help);
}

static const struct command *command_find(const struct command_line *l)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        struct str first;
        struct str second = str_cut(str_of(commands[i].name), ' ', &first);
        if (str_eq(l->words[0], first) && (!second.at || str_eq(l->words[1], second)))
            return &commands[i];
    }
    return NULL;
}

static void split(struct str line, struct command_line *ret)
{
    *ret = (struct command_line){ .count = 0 };
    for (line = str_trim_space(line); !str_empty(line) && ret->count < WORDS_MAX;) {
        line = str_cut(line, ' ', &ret->words[ret->count++]);
        if (line.at)
            line = str_trim_space(line);
    }
}

enum err control_run(struct cluster *c, struct str line, struct text *output,
                     struct diag *why)
{
    struct command_line l;
    split(line, &l);
    if (str_eq(l.words[0], STR("help"))) {
        help(output);
        return OK;
    }
    const struct command *command = command_find(&l);
    if (!command)
        return diag_set(why, ERR_CONFIG, "no such command: \"%.*s\" (try help)",
                        STR_ARG(line));
    if (l.count != command->words)
        return diag_set(why, ERR_CONFIG, "usage: %s %s", command->name,
                        command->arguments);
    return command->run(c, &l, why);
}

bool respond_control(struct cluster *c, const struct call *call, struct answer *a)
{
    struct str left = call->body;
    struct diag why = { 0 };
    enum err e = OK;

    if (!str_eq(target_path(call->head->target), STR("/playground")))
        return false;
    while (!e && !str_empty(left)) {
        struct str line;
        left = str_cut(left, '\n', &line);
        if (!str_empty(str_trim_space(line)))
            e = control_run(c, line, &a->body, &why);
    }
    a->status = e ? 400 : 200;
    a->content_type = "text/plain; charset=utf-8";
    if (e)
        text_printf(&a->body, "%s\n", diag_text(&why, e));
    return true;
}
