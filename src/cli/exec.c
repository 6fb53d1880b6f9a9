/* cli/exec.c - kube-tunnel exec */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/utf8.h"
#include "cli/ask.h"
#include "cli/exec_running.h"
#include "cli/exec_variables.h"
#include "control/client.h"
#include "exec/keeper.h"
#include "exec/own_tunnel.h"
#include "exec/proxies.h"
#include "exec/updates.h"
#include "exec/view.h"

/* As of env(1), nohup(1) and the like. */
enum { EXIT_OWN = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NO_PROGRAM = 127 };

#define READY_MS 30000
#define NAMES_MS 10000
#define PROXY_ROOM 128

static void exec_help(void)
{
    puts(
        "Usage: kube-tunnel exec [-n NS]... [--context C] [--env-from TYPE/NAME]\n"
        "                        [-c NAME] [--env NAME]... [--with-secrets]\n"
        "                        -- COMMAND [ARG]...\n"
        "\n"
        "Run a command for which names of the cluster resolve, without root and without\n"
        "a change of this machine. It has the network, files, terminal and signals of "
        "any\n"
        "program, and its exit status is that of exec. Without a kube-tunnel that runs,\n"
        "one is started and stopped with it.\n"
        "\n"
        "  -n, --namespace NS   Short names, too: web, web.NS; repeatable\n"
        "      --context C      Names of this context's cluster\n"
        "      --env-from T/N   The variables that a container of this pod, deploy, "
        "sts,\n"
        "                       rs, ds or job would have\n"
        "  -c, --container C    Which container; else the default or the first one\n"
        "      --env NAME       Also this variable, although its name is one that a\n"
        "                       shell, a loader or an interpreter uses; repeatable\n"
        "      --with-secrets   Also values from Secrets\n"
        "      --name NAME      Which kube-tunnel; \"default\" without it\n"
        "\n"
        "  kube-tunnel exec -- curl http://web.shop.svc.cluster.local/\n"
        "  kube-tunnel exec -n shop --env-from deploy/web --with-secrets -- ./server");
}

/* What is known of the kube-tunnel that the command uses. */
struct used_tunnel {
    char *name;
    char *context, *server; /* of its first cluster, if it ran before */
    char proxy[PROXY_ROOM]; /* "127.0.0.1:8080"; empty: it has no such listener */
    bool passes_on;         /* what is not in the cluster */
    unsigned closed_port;   /* that could not be opened; 0: there is none */
    char *fix;              /* what to type; NULL: nothing */
};

struct run {
    const struct args *args;
    struct config *config;
    const char **namespaces; /* owned, the texts are not */
    size_t namespace_count;
    struct used_tunnel tunnel;
    struct updates updates;
    int errors;     /* of the process that updates names; -1: it prints nothing */
    bool has_names; /* names of the cluster resolve */
};

/* --- the kube-tunnel --- */

static void read_listeners(const json_t *status, struct used_tunnel *t)
{
    size_t i;
    json_t *listener;

    json_array_foreach(json_object_get(status, "listeners"), i, listener)
    {
        const char *address = text_of(listener, "address");
        bool serves_names = json_is_true(json_object_get(listener, "loopback")) &&
                            !json_object_get(listener, "exposes");
        if (!t->proxy[0] && serves_names && str_starts(str_of(address), STR("127.")) &&
            strlen(address) < PROXY_ROOM)
            snprintf(t->proxy, PROXY_ROOM, "%s", address);
    }
}

/* A port of a service that could not be opened for want of a right. */
static void read_problems(const json_t *status, struct used_tunnel *t)
{
    const json_t *addresses = json_object_get(status, "addresses");
    size_t i;
    json_t *problem;

    json_array_foreach(json_object_get(addresses, "problems"), i, problem)
    {
        if (t->fix || strcmp(text_of(problem, "error"), "privilege") != 0)
            continue;
        t->closed_port = (unsigned)number_of(problem, "port");
        t->fix = xstrdup(text_of(problem, "fix"));
    }
}

static enum err read_used(struct run *r, struct diag *why)
{
    struct control_reply reply = { 0 };
    enum err e = control_call(r->tunnel.name, "GET", "/v1/status", NULL, &reply, why);

    if (!e) {
        read_listeners(reply.json, &r->tunnel);
        read_problems(reply.json, &r->tunnel);
        r->tunnel.passes_on = json_is_true(json_object_get(reply.json, "proxyOutside"));
    }
    json_decref(reply.json);
    return e;
}

static bool is_flag(const struct config *c, enum setting_id id)
{
    return c->origins[id].source == FROM_FLAG;
}

static void use_running(struct run *r, const json_t *status)
{
    const json_t *first = json_array_get(json_object_get(status, "clusters"), 0);

    r->tunnel.name = xstrdup(r->config->name);
    r->tunnel.context = xstrdup(text_of(first, "context"));
    r->tunnel.server = xstrdup(text_of(first, "server"));
}

/* ERR_NOT_FOUND: the command gets one of its own.  ERR_CONFIG: the one that --name names serves
 * other clusters. */
static enum err find_running(struct run *r, struct diag *why)
{
    const struct config *c = r->config;
    bool named = is_flag(c, SETTING_name);
    struct control_reply reply = { 0 };
    struct diag other = { "" };

    if (is_flag(c, SETTING_kubeconfig) && !named)
        return ERR_NOT_FOUND;
    if (control_call(c->name, "GET", "/v1/status", NULL, &reply, NULL))
        return ERR_NOT_FOUND;
    enum err e =
        reply.status == 200 ? exec_running_serves(c, reply.json, &other) : ERR_NOT_FOUND;
    if (!e)
        use_running(r, reply.json);
    json_decref(reply.json);
    if (!e || reply.status != 200 || !named)
        return e ? ERR_NOT_FOUND : OK;
    return diag_set(why, ERR_CONFIG,
                    "--name %s: %s; without --name the command gets a kube-tunnel of "
                    "its own",
                    c->name, diag_text(&other, e));
}

/* What own_tunnel_start sets itself, or what is of the running one. */
static bool is_passed_on(const char *setting, bool first_namespace)
{
    static const char *const left[] = { "listen", "port",    "tls-port",
                                        "name",   "control", "expose" };

    for (size_t i = 0; i < ARRAY_LEN(left); i++)
        if (strcmp(setting, left[i]) == 0)
            return false;
    return strcmp(setting, "namespace") != 0 || first_namespace;
}

static void make_settings(const struct run *r, struct texts *ret)
{
    bool first_namespace = true;

    if (r->args->config_file)
        texts_add(ret, xasprintf("--config=%s", r->args->config_file));
    for (size_t i = 0; i < r->args->flag_count; i++) {
        const struct config_flag *flag = &r->args->flags[i];
        if (!is_passed_on(flag->name, first_namespace))
            continue;
        first_namespace &= strcmp(flag->name, "namespace") != 0;
        texts_add(ret, xasprintf("--%s=%s", flag->name, flag->value));
    }
    if (!r->config->in_pod)
        texts_add(ret, xstrdup("--proxy-outside=true"));
    texts_add(ret, NULL);
}

static enum err start_own(struct run *r, struct diag *why)
{
    struct own_tunnel own;
    struct texts settings = { 0 };

    make_settings(r, &settings);
    enum err e = own_tunnel_start((const char *const *)settings.at, &own, why);
    texts_finish(&settings);
    if (e)
        return e;
    e = own_tunnel_wait(&own, READY_MS, why);
    own_tunnel_finish(&own);
    r->tunnel.name = xstrdup(own.name);
    return e;
}

/* --- names --- */

/* In a process whose standard error is none (keeper.h). */
static void run_updates(void *owner, int ended)
{
    struct run *r = owner;

    if (r->errors >= 0)
        dup2(r->errors, STDERR_FILENO);
    updates_run(&r->updates, ended);
}

/* Standard error, for names that are left out while the command runs.  -1: not a pipe, whose reader
 * waits until no process has it. */
static int keep_errors(void)
{
    struct stat facts;
    bool kept = fstat(STDERR_FILENO, &facts) == 0 &&
                (S_ISCHR(facts.st_mode) || S_ISREG(facts.st_mode));

    return kept ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1;
}

static enum err fork_updates(struct run *r, struct diag *why)
{
    const struct updates *u = &r->updates;
    struct keeper keeper = { .run = run_updates, .owner = r };
    int kept[3];
    size_t count = 0;

    r->errors = keep_errors();
    kept[count++] = control_lines_fd(u->lines);
    if (u->hosts)
        kept[count++] = hosts_fd(u->hosts);
    if (r->errors >= 0)
        kept[count++] = r->errors;
    keeper.kept = kept;
    keeper.kept_count = count;
    return keeper_fork(&keeper, why);
}

/* The view, with the names that there are. */
static enum err enter_view(struct run *r, struct diag *why)
{
    struct view view;
    enum err e = view_enter(&view, why);

    if (e)
        return e;
    AUTO_FREE char *machine = view.machine;
    struct str lines = { machine, view.machine_len };
    service_names_set_machine(&r->updates.names, lines);
    e = hosts_create(view.hosts, lines, &r->updates.hosts, why);
    if (!e)
        e = service_names_store(&r->updates.names, r->updates.hosts, why);
    enum err dropped = view_drop_rights(&view, why);
    return dropped ? dropped : e;
}

static void print_left_out(size_t count)
{
    if (count)
        print_failure("%zu names of services do not resolve, for lack of listeners; see "
                      "max-address-listeners, or name fewer namespaces with -n",
                      count);
}

/* The stream of names is open while the command runs, also if they do not resolve: it lets
 * proxy requests out. */
static enum err find_names(struct run *r, struct diag *why)
{
    service_names_init(&r->updates.names, r->namespaces, r->namespace_count);
    r->updates.name = r->tunnel.name;
    r->updates.path = "/v1/names?proxy=1";
    r->updates.on_left_out = print_left_out;
    enum err e = updates_begin(&r->updates, NAMES_MS, why);
    if (!e)
        e = read_used(r, why);
    if (e)
        return e;
    e = enter_view(r, why);
    enum err kept = fork_updates(r, e ? NULL : why);
    r->has_names = !e && !kept;
    return e ? e : kept;
}

/* --- the environment --- */

static void exclude_from_proxies(const struct run *r)
{
    struct texts names = { 0 };

    service_names_suffixes(&r->updates.names, &names);
    proxies_exclude(&names);
    texts_finish(&names);
}

static void print_closed_port(const struct used_tunnel *t, bool by_proxy)
{
    print_failure("port %u cannot be opened without the right; %s; all programs reach it "
                  "after: %s",
                  t->closed_port,
                  by_proxy ? "http:// works in programs that read http_proxy"
                           : "http_proxy stays as it is",
                  t->fix);
}

/* With names, a proxy is needed for http:// at ports that could not be opened; without them
 * for everything. */
static void set_proxies(struct run *r)
{
    const struct used_tunnel *t = &r->tunnel;
    bool has_others = proxies_are_set();
    bool possible = t->proxy[0] && t->passes_on && !has_others;

    if (r->has_names && has_others)
        exclude_from_proxies(r);
    if (possible && (t->fix || !r->has_names))
        proxies_set(t->proxy, !r->has_names);
    if (r->has_names && t->fix)
        print_closed_port(t, possible);
    else if (!r->has_names && !possible)
        print_error("no proxy variables are set: %s",
                    has_others ? "there are others already"
                               : "kube-tunnel has no listener for it");
}

/* --- the command --- */

static int start_command(const char *const *words)
{
    execvp(words[0], (char *const *)words);
    int error = errno;
    print_failure("%s: %s", words[0], strerror(error));
    return error == ENOENT ? EXIT_NO_PROGRAM : EXIT_NOT_EXECUTABLE;
}

static int run_with(struct run *r, const char *const *words)
{
    struct diag why = { "" };
    AUTO(exec_variables_finish) struct exec_variables variables = { 0 };
    enum err e = find_running(r, &why);

    if (e == ERR_CONFIG) {
        print_failure("%s", why.text);
        return EXIT_OWN;
    }
    bool runs = !e;
    const struct exec_source from = { r->namespace_count ? r->namespaces[0] : NULL,
                                      r->tunnel.name, r->tunnel.context,
                                      r->tunnel.server };
    int status = exec_variables_read(r->args, r->config, &from, &variables);

    if (status)
        return status;
    e = runs ? OK : start_own(r, &why);
    if (e) {
        print_failure("%s", diag_text(&why, e));
        return EXIT_OWN;
    }
    if (find_names(r, &why))
        print_failure("names do not resolve, only proxy variables are set: %s", why.text);
    set_proxies(r);
    exec_variables_set(&variables);
    return start_command(words);
}

static void finish_run(struct run *r)
{
    updates_finish(&r->updates);
    config_unref(r->config);
    free(r->namespaces);
    free(r->tunnel.name);
    free(r->tunnel.context);
    free(r->tunnel.server);
    free(r->tunnel.fix);
}

static int run_exec(const struct args *a, const char *const *words, size_t word_count)
{
    struct run r = { .args = a };
    struct config *config = NULL;

    if (!word_count)
        return print_error("exec takes a command: kube-tunnel exec -- COMMAND");
    int status = load_config(a, &config);
    if (status)
        return status;
    r.config = config;
    r.namespaces = xcalloc(a->flag_count + 1, sizeof(*r.namespaces));
    for (size_t i = 0; i < a->flag_count; i++)
        if (strcmp(a->flags[i].name, "namespace") == 0)
            r.namespaces[r.namespace_count++] = a->flags[i].value;
    status = run_with(&r, words);
    finish_run(&r);
    return status;
}

const struct command exec_command = {
    .name = "exec",
    .argument = "-- COMMAND",
    .summary = "Run a command for which names of the cluster resolve",
    .help = exec_help,
    .run = run_exec,
};
