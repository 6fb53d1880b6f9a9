/* cli/exec_variables.c - the variables that exec --env-from takes from a container */
#include "cli/exec_variables.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file_write.h"
#include "base/own.h"
#include "base/utf8.h"
#include "cli/api_session.h"
#include "cli/ask.h"
#include "daemon/process.h"
#include "exec/container.h"
#include "exec/hosts.h"
#include "exec/refused.h"
#include "forward/spec.h"

#define CALL_MS 30000
#define EXIT_OWN 125
#define TEXT_MAX (VARIABLES_BYTES * 2)
#define SHOWN_NAMES 700 /* bytes of names in one message */

/* --- reading objects --- */

struct reading {
    const struct args *args;
    const char *source; /* "deploy/web" */
    const char *ns;
    const struct exec_source *from;
    struct api_session session;
    struct task answered;
    struct api_call call;
    json_t *object; /* of the last call */
    struct diag why;
};

static void on_object(void *owner, json_t *object)
{
    struct reading *r = owner;

    json_decref(r->object);
    r->object = json_incref(object);
}

static void on_answer(struct task *t)
{
    struct reading *r = container_of(t, struct reading, answered);

    if (r->call.result != ERR_AGAIN)
        loop_stop(r->session.loop);
}

/* The object at this path; owned by the caller. */
static enum err read_object(struct reading *r, const char *path, json_t **ret)
{
    r->call =
        (struct api_call){ .on_object = on_object, .owner = r, .wake = &r->answered };
    api_get(r->session.api, &r->call, path, CALL_MS);
    if (r->call.result == ERR_AGAIN)
        loop_run(r->session.loop);
    enum err e = r->call.result;
    r->why = r->call.error.why;
    api_call_finish(&r->call);
    *ret = TAKE(r->object);
    return !e && !*ret ? ERR_PROTO : e;
}

/* The objects of these names that exist. */
static enum err read_objects(struct reading *r, const char *plural,
                             const struct texts *names, json_t *ret)
{
    for (size_t i = 0; i < names->count; i++) {
        AUTO_FREE char *path =
            xasprintf("/api/v1/namespaces/%s/%s/%s", r->ns, plural, names->at[i]);
        json_t *object = NULL;
        if (!hosts_is_name(str_of(names->at[i])))
            return diag_set(&r->why, ERR_CONFIG, "\"%s\" is no name of an object",
                            names->at[i]);
        enum err e = read_object(r, path, &object);
        if (e && e != ERR_NOT_FOUND)
            return e;
        if (!e)
            json_object_set_new(ret, names->at[i], object);
    }
    return OK;
}

static enum err read_source(struct reading *r, json_t **ret)
{
    AUTO_FREE char *name = NULL;
    enum forward_kind kind;
    enum err e = forward_target_parse(str_of(r->source), &kind, &name, &r->why);

    if (!e && (kind == FORWARD_SERVICE || !hosts_is_name(str_of(name))))
        e = diag_set(&r->why, ERR_CONFIG,
                     "expected pod, deploy, sts, rs, ds or job, "
                     "a slash and a name");
    if (e)
        return e;
    AUTO_FREE char *path = forward_kind_path(kind, r->ns, name);
    return read_object(r, path, ret);
}

static enum err read_references(struct reading *r, const json_t *container,
                                json_t *config_maps, json_t *secrets)
{
    struct texts config_map_names = { 0 }, secret_names = { 0 };

    container_references(container, &config_map_names, &secret_names);
    enum err e = read_objects(r, "configmaps", &config_map_names, config_maps);
    if (!e && args_own(r->args, "with-secrets"))
        e = read_objects(r, "secrets", &secret_names, secrets);
    texts_finish(&config_map_names);
    texts_finish(&secret_names);
    return e;
}

static enum err read_container(struct reading *r, const json_t *object,
                               struct variables *ret)
{
    json_t *config_maps = json_object(), *secrets = json_object();
    struct container_parts parts = {
        .pod = container_pod(object),
        .is_running =
            json_object_get(object, "status") && container_pod(object) == object,
        .ns = r->ns,
        .config_maps = config_maps,
        .secrets = secrets,
        .with_secrets = args_own(r->args, "with-secrets") != NULL,
    };
    enum err e = OK;

    if (!parts.pod)
        e = diag_set(&r->why, ERR_NOT_FOUND, "it has no containers");
    if (!e)
        e = container_find(parts.pod, args_own(r->args, "container"), &parts.container,
                           &r->why);
    if (!e)
        e = read_references(r, parts.container, config_maps, secrets);
    if (!e)
        e = container_variables(&parts, ret, &r->why);
    json_decref(config_maps);
    json_decref(secrets);
    return e;
}

static enum err read_variables(struct reading *r, struct variables *ret)
{
    json_t *object = NULL;
    enum err e = read_source(r, &object);

    if (!e)
        e = read_container(r, object, ret);
    json_decref(object);
    return e;
}

/* --- what is taken --- */

static bool is_wanted(const struct args *a, const char *name)
{
    for (size_t i = 0; i < a->own_count; i++)
        if (strcmp(a->own[i].name, "env") == 0 && strcmp(a->own[i].value, name) == 0)
            return true;
    return false;
}

static enum omission omission_of(const struct args *a, const struct variable *v)
{
    bool refused = !v->omitted && refused_because(str_of(v->name)) != NULL;

    return refused && !is_wanted(a, v->name) ? OMITTED_NAME : v->omitted;
}

static const struct {
    const char *reason, *next;
} omissions[OMISSION_COUNT] = {
    [OMITTED_SECRET] = { "of Secrets", "take them with --with-secrets" },
    [OMITTED_UNKNOWN] = { "known of a running pod only",
                          "name a pod: --env-from pod/NAME" },
    [OMITTED_NAME] = { "used by shells, loaders, interpreters or this login",
                       "take one with --env NAME" },
    [OMITTED_INVALID] = { "no valid name or value", NULL },
};

static void print_omitted(const struct reading *r, const struct variables *v,
                          enum omission why)
{
    char names[SHOWN_NAMES + 1] = "";
    size_t len = 0, left = 0;

    for (size_t i = 0; i < v->count; i++) {
        struct str name = str_of(v->at[i]->name);
        if (omission_of(r->args, v->at[i]) != why)
            continue;
        if (len + 2 + name.len > SHOWN_NAMES) {
            left++;
            continue;
        }
        len = str_append(names, SHOWN_NAMES, len, len ? STR(", ") : STR(""));
        len = str_append(names, SHOWN_NAMES, len, name);
    }
    AUTO_FREE char *more = left ? xasprintf(" and %zu more", left) : xstrdup("");
    if (len || left)
        print_failure("left out of %s: %s%s (%s%s%s)", r->source, names, more,
                      omissions[why].reason, omissions[why].next ? "; " : "",
                      omissions[why].next ? omissions[why].next : "");
}

static bool write_variables(const struct reading *r, const struct variables *v, int to)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct variable *one = v->at[i];
        if (omission_of(r->args, one))
            continue;
        if (!file_write_all(to, str_of(one->name)) || !file_write_all(to, STR("=")) ||
            !file_write_all(to, (struct str){ one->value, strlen(one->value) + 1 }))
            return false;
    }
    return true;
}

/* --- the child --- */

static void print_reading_error(const struct reading *r, enum err e)
{
    struct diag why = r->why;

    diag_prefix(&why, e, "--env-from %s", r->source);
    text_make_printable(why.text, true);
    api_session_print_error(NULL, e, &why);
}

/* With the context of the kube-tunnel that runs, which keeps the one that was current when it
 * started.  The session borrows the settings only while it opens. */
static enum err open_session(struct reading *r, const struct config *config)
{
    struct config same = *config;
    char *context = r->from->tunnel ? xstrdup(r->from->context) : NULL;

    if (context && context[0] && strcmp(context, "in-cluster") != 0)
        same.contexts = (struct string_list){ .at = &context, .count = 1 };
    enum err e = api_session_open(&r->session, &same, 0, &r->why);
    free(context);
    return e;
}

/* A context of the same name may be another one in another kubeconfig. */
static enum err check_server(struct reading *r)
{
    const struct exec_source *from = r->from;
    const char *server = api_target(r->session.api)->host_header;

    if (!from->tunnel || !from->server[0] || strcmp(server, from->server) == 0)
        return OK;
    return diag_set(
        &r->why, ERR_CONFIG,
        "the kubeconfig leads to %s, and the running kube-tunnel \"%s\" to %s; start "
        "another with --name NAME",
        server, from->tunnel, from->server);
}

static int read_in_child(struct reading *r, const struct config *config, int to)
{
    struct variables variables;

    variables_init(&variables);
    enum err e = open_session(r, config);
    if (!e)
        e = check_server(r);
    if (!e) {
        task_init(&r->answered, loop_sched(r->session.loop), RANK_WORK, on_answer);
        if (!r->ns)
            r->ns = api_target(r->session.api)->ns;
        e = read_variables(r, &variables);
    }
    if (e)
        print_reading_error(r, e);
    for (enum omission o = 1; !e && o < OMISSION_COUNT; o++)
        print_omitted(r, &variables, o);
    bool written = !e && write_variables(r, &variables, to);
    variables_finish(&variables);
    task_cancel(&r->answered);
    api_session_close(&r->session);
    return written ? EXIT_OK : EXIT_OWN;
}

/* --- the parent --- */

/* Keepers and a kube-tunnel of the command are forks of this process: they find zeros here.
 * NULL: errno. */
static char *map_private_text(void)
{
    char *text = mmap(NULL, TEXT_MAX + 1, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (text == MAP_FAILED)
        return NULL;
    if (madvise(text, TEXT_MAX + 1, MADV_WIPEONFORK) == 0 &&
        madvise(text, TEXT_MAX + 1, MADV_DONTDUMP) == 0)
        return text;
    munmap(text, TEXT_MAX + 1);
    return NULL;
}

/* Into the mapping, and nowhere else. */
static bool receive_all(int from, struct exec_variables *ret)
{
    ssize_t n = 1;

    while (n != 0 && ret->len < TEXT_MAX) {
        n = read(from, ret->text + ret->len, TEXT_MAX - ret->len);
        if (n < 0 && errno != EINTR)
            return false;
        ret->len += n > 0 ? (size_t)n : 0;
    }
    return n == 0;
}

static int wait_for_child(pid_t child)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return EXIT_OWN;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_OWN;
}

int exec_variables_read(const struct args *a, const struct config *config,
                        const struct exec_source *from, struct exec_variables *ret)
{
    struct reading r = {
        .args = a, .source = args_own(a, "env-from"), .ns = from->ns, .from = from
    };
    int ends[2];

    if (!r.source)
        return EXIT_OK;
    ret->text = map_private_text();
    if (!ret->text || pipe2(ends, O_CLOEXEC)) {
        print_failure("cannot read --env-from: %s", strerror(errno));
        return EXIT_OWN;
    }
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        process_forbid_dumps();
        int status = read_in_child(&r, config, ends[1]);
        fflush(NULL);
        _exit(status);
    }
    close(ends[1]);
    bool received = child > 0 && receive_all(ends[0], ret);
    close(ends[0]);
    int status = child > 0 ? wait_for_child(child) : EXIT_OWN;
    return received ? status : EXIT_OWN;
}

void exec_variables_set(const struct exec_variables *v)
{
    for (size_t at = 0; at < v->len; at += strlen(v->text + at) + 1) {
        struct str name, value = str_cut(str_of(v->text + at), '=', &name);
        AUTO_FREE char *owned = str_dup(name);
        setenv(owned, value.at, 1);
    }
}

void exec_variables_finish(struct exec_variables *v)
{
    if (v->text) {
        explicit_bzero(v->text, v->len);
        munmap(v->text, TEXT_MAX + 1);
    }
    *v = (struct exec_variables){ 0 };
}
