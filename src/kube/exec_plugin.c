/* kube/exec_plugin.c - exec plugins: programs that print a credential
 *
 * THEORY OF OPERATION
 *
 * A plugin is idle or has one run.  A caller that finds no valid credential begins the
 * run, or waits for the one under way (renewal.h decides which).  Its end wakes all of
 * them.  A run that takes too long or prints too much is stopped, with its process group. 
 * Where the terminal is wanted and another plugin has it, the run waits for its turn: the
 * callers are woken when the terminal is free.
 */
#include "kube/exec_plugin.h"

#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "base/utf8.h"
#include "kube/exec_credential.h"
#include "kube/exec_environment.h"
#include "kube/exec_words.h"
#include "kube/kubeconfig.h"
#include "net/process.h"
#include "net/tls_identity.h"

LOG_MODULE(kube);

#define OUTPUT_MAX (256u << 10)
#define COMMAND_SHOWN 60 /* bytes of it in messages */
#define HINT_SHOWN 170   /* those of GKE and AKS have up to 160 bytes, and end in a URL */
#define UNATTENDED_MS 3000 /* a shorter run has prompted for nothing */

struct exec_plugins {
    struct loop *loop;
    struct exec_settings settings;
    struct list_node plugins, providers;
    struct exec_plugin *on_terminal; /* has it, or NULL */
};

enum interactive { MODE_NEVER, MODE_IF_AVAILABLE, MODE_ALWAYS };

struct exec_plugin {
    unsigned refs;
    struct list_node node;
    struct exec_plugins *owner;
    char *key; /* what contexts must have in common to share it */
    struct kc_user *user;
    char *spec, *interactive_spec; /* KUBERNETES_EXEC_INFO */
    enum interactive mode;
    struct renewal renewal;
    struct process *process; /* the run, or NULL */
    struct exec_words words;
    struct task ended;
    struct timer cap;
    uint64_t cap_ms;  /* of the run */
    char *last_words; /* standard error of the last run, if that failed */
    uint64_t began;   /* start of the run */
    bool unattended;  /* the last success needed no input from the user */
};

/* ---- the kubeconfig ---- */

static enum err read_mode(const struct kc_exec *exec, enum interactive *ret,
                          struct diag *why)
{
    static const char *const names[] = { "Never", "IfAvailable", "Always" };
    const char *mode = exec->interactive_mode;

    if (!mode && strcmp(exec->api_version, EXEC_API_V1) != 0)
        mode = "IfAvailable";
    if (!mode)
        return diag_set(why, ERR_CONFIG,
                        "interactiveMode must be specified for the exec plugin (Never, "
                        "IfAvailable or Always)");
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(mode, names[i]) == 0) {
            *ret = (enum interactive)i;
            return OK;
        }
    return diag_set(why, ERR_CONFIG,
                    "interactiveMode \"%s\" is none of Never, IfAvailable and Always",
                    mode);
}

static enum err check_version(const char *version, struct diag *why)
{
    if (strcmp(version, EXEC_API_V1) == 0 || strcmp(version, EXEC_API_V1BETA1) == 0)
        return OK;
    if (strcmp(version, EXEC_API_V1ALPHA1) == 0)
        return diag_set(
            why, ERR_CONFIG,
            "exec plugins of v1alpha1 are not supported (nor by kubectl, since "
            "1.24): update the plugin; EKS: aws eks update-kubeconfig");
    return diag_set(why, ERR_CONFIG, "the exec plugin's apiVersion \"%s\" is not known",
                    version);
}

enum err exec_plugin_check(const struct kc_exec *exec, bool used, struct diag *why)
{
    enum interactive mode;

    if (!exec->command)
        return diag_set(why, ERR_CONFIG, "command must be specified for the exec plugin");
    if (!exec->api_version)
        return diag_set(why, ERR_CONFIG,
                        "apiVersion must be specified for the exec plugin");
    for (size_t i = 0; i < exec->env.count; i++)
        if (!exec->env.at[i].name[0])
            return diag_set(why, ERR_CONFIG,
                            "an env variable of the exec plugin has no name");
    enum err e = read_mode(exec, &mode, why);
    return e || !used ? e : check_version(exec->api_version, why);
}

/* ---- the table ---- */

struct exec_plugins *exec_plugins_create(struct loop *l, const struct exec_settings *s)
{
    struct exec_plugins *ps = xcalloc(1, sizeof(*ps));

    ps->loop = l;
    ps->settings = *s;
    list_init(&ps->plugins);
    list_init(&ps->providers);
    return ps;
}

void exec_plugins_configure(struct exec_plugins *ps, const struct exec_settings *s)
{
    ps->settings = *s;
}

void exec_plugins_destroy(struct exec_plugins *ps)
{
    free(ps);
}

struct list_node *exec_plugins_providers(struct exec_plugins *ps)
{
    return &ps->providers;
}

static char *add_part(char *key, const char *part)
{
    AUTO_FREE char *before = key;
    return xasprintf("%s%zu:%s,", before, part ? strlen(part) : 0, part ? part : "");
}

/* Each part has its length in front, so that different lists of parts give different keys. */
static char *exec_plugin_key(const struct kube_target *t, const char *spec)
{
    const struct kc_exec *exec = t->user->exec;
    char *key = xstrdup("");

    if (strchr(exec->command, '/'))
        key = add_part(key, t->user->entry.file);
    key = add_part(key, exec->command);
    key = add_part(key, exec->interactive_mode);
    for (size_t i = 0; i < exec->args.count; i++)
        key = add_part(key, exec->args.at[i]);
    key = add_part(key, NULL);
    for (size_t i = 0; i < exec->env.count; i++) {
        key = add_part(key, exec->env.at[i].name);
        key = add_part(key, exec->env.at[i].value);
    }
    return add_part(key, spec);
}

static struct exec_plugin *find(const struct exec_plugins *ps, const char *key)
{
    list_for_each (p, &ps->plugins, struct exec_plugin, node)
        if (strcmp(p->key, key) == 0)
            return p;
    return NULL;
}

static void on_ended(struct task *t);
static void on_cap(struct timer *t);

static struct exec_plugin *exec_plugin_create(struct exec_plugins *ps,
                                              const struct kube_target *t, char *key,
                                              char *spec)
{
    struct exec_plugin *p = xcalloc(1, sizeof(*p));
    const struct kc_exec *exec = t->user->exec;
    struct str command = str_first(str_of(exec->command), COMMAND_SHOWN);
    struct sched *sched = loop_sched(ps->loop);
    struct diag why;

    p->owner = ps;
    p->key = key;
    p->spec = spec;
    p->interactive_spec = exec_credential_spec(exec->api_version, true,
                                               exec->provide_cluster_info ? t : NULL);
    p->user = kc_user_copy(t->user);
    if (read_mode(exec, &p->mode, &why))
        p->mode = MODE_NEVER;
    renewal_init(&p->renewal, sched, xasprintf("exec plugin \"%.*s\"", STR_ARG(command)));
    text_make_printable(p->renewal.label, false);
    task_init(&p->ended, sched, RANK_READ, on_ended);
    timer_init(&p->cap, sched, on_cap);
    list_append(&ps->plugins, &p->node);
    return p;
}

struct exec_plugin *exec_plugin_get(struct exec_plugins *ps,
                                    const struct kube_target *target)
{
    const struct kc_exec *exec = target->user->exec;
    char *spec = exec_credential_spec(exec->api_version, false,
                                      exec->provide_cluster_info ? target : NULL);
    char *key = exec_plugin_key(target, spec);
    struct exec_plugin *p = find(ps, key);

    if (p) {
        free(key);
        free(spec);
    } else {
        p = exec_plugin_create(ps, target, key, spec);
    }
    p->refs++;
    return p;
}

static void release_terminal(struct exec_plugin *p)
{
    struct exec_plugins *ps = p->owner;

    if (ps->on_terminal != p)
        return;
    ps->on_terminal = NULL;
    list_for_each (other, &ps->plugins, struct exec_plugin, node)
        if (!other->process)
            renewal_wake(&other->renewal);
}

void exec_plugin_unref(struct exec_plugin *p)
{
    if (!p || --p->refs)
        return;
    list_remove(&p->node);
    process_close(TAKE(p->process));
    release_terminal(p);
    task_cancel(&p->ended);
    timer_stop(&p->cap);
    renewal_finish(&p->renewal);
    kc_user_destroy(p->user);
    free(p->spec);
    free(p->interactive_spec);
    free(p->last_words);
    free(p->key);
    free(p);
}

/* ---- a run ---- */

static void on_stderr(void *owner, struct str words)
{
    exec_words_add(&((struct exec_plugin *)owner)->words, words);
}

static void on_cap(struct timer *t)
{
    process_stop(container_of(t, struct exec_plugin, cap)->process);
}

static bool gets_terminal(const struct exec_plugin *p)
{
    return p->mode != MODE_NEVER && !p->owner->settings.no_terminal &&
           process_has_terminal();
}

/* IfAvailable is what cloud providers write, or leave out: most of their plugins never
 * prompt. */
bool exec_plugin_is_interactive(const struct exec_plugin *p)
{
    return gets_terminal(p) && (p->mode == MODE_ALWAYS || !p->unattended);
}

/* A success within seconds, without output, needed no input; a failure within seconds proves
 * nothing. */
static void note_attendance(struct exec_plugin *p, enum err result)
{
    bool soon = p->renewal.sched->now - p->began < UNATTENDED_MS;

    if (!result)
        p->unattended = soon && !p->words.lines;
    else if (!soon)
        p->unattended = false;
}

/* The kubeconfig may name where to get it. */
static void add_hint(const struct exec_plugin *p, struct diag *why)
{
    const char *hint = p->user->exec->install_hint;
    struct str shown = str_first(str_trim_space(str_of(hint)), HINT_SHOWN);
    struct diag before = *why;

    if (!str_empty(shown))
        diag_set(why, ERR_CREDENTIALS, "%s. %.*s", before.text, STR_ARG(shown));
}

static const char *const *arguments_of(const struct kc_exec *exec)
{
    const char **all = xcalloc(exec->args.count + 2, sizeof(*all));

    all[0] = exec->command;
    for (size_t i = 0; i < exec->args.count; i++)
        all[i + 1] = exec->args.at[i];
    return all;
}

static void start_process(struct exec_plugin *p, const char *path, bool interactive)
{
    const struct exec_settings *s = &p->owner->settings;
    const struct kc_exec *exec = p->user->exec;
    AUTO_FREE const char *const *arguments = arguments_of(exec);
    char **environment =
        exec_environment_create(exec, interactive ? p->interactive_spec : p->spec);
    const struct process_request request = {
        .path = path,
        .argv = arguments,
        .environment = (const char *const *)environment,
        .terminal = interactive,
        .output_max = OUTPUT_MAX,
        .on_stderr = on_stderr,
        .owner = p,
    };

    exec_words_begin(&p->words, p->renewal.label, interactive || s->shown);
    p->process = process_start(p->owner->loop, &request, &p->ended);
    exec_environment_destroy(environment);
    p->began = p->renewal.sched->now;
    p->cap_ms = interactive ? s->terminal_ms : s->run_ms;
    timer_set(&p->cap, p->cap_ms);
}

static void exec_plugin_begin(struct exec_plugin *p)
{
    AUTO_FREE char *path = NULL;
    bool interactive = gets_terminal(p);
    struct diag why = { "" };
    enum err e = exec_find_program(p->user, &path, &why);

    renewal_begin(&p->renewal);
    p->renewal.patient = exec_plugin_is_interactive(p);
    if (e == ERR_NOT_FOUND)
        add_hint(p, &why);
    if (!e && p->mode == MODE_ALWAYS && !interactive)
        e = diag_set(&why, ERR_CREDENTIALS,
                     "it needs a terminal (interactiveMode: Always), and kube-tunnel "
                     "does not run in the foreground of one");
    if (e) {
        renewal_fail(&p->renewal, &why);
        return;
    }
    if (interactive)
        p->owner->on_terminal = p;
    log_debug(NO_ID, "running", LOG_S("source", p->renewal.label), LOG_S("path", path));
    start_process(p, path, interactive);
}

/* What a program that failed has written, or how it ended. */
static void explain(const struct exec_plugin *p, const struct process_result *r,
                    struct diag *why)
{
    char how[64], last[DIAG_SIZE - COMMAND_SHOWN - 60];

    if (r->result == ERR_TIMEOUT)
        snprintf(how, sizeof(how), "stopped after %llu s",
                 (unsigned long long)(p->cap_ms / 1000));
    else if (r->signal)
        snprintf(how, sizeof(how), "ended by signal %d", r->signal);
    else
        snprintf(how, sizeof(how), "exit code %d", r->status);
    exec_words_last(&p->words, last, sizeof(last));
    diag_set(why, ERR_CREDENTIALS, "%s%s%s", how, last[0] ? ": " : "", last);
    if (!last[0])
        add_hint(p, why);
}

/* Do they belong together?  Authorities do not matter here. */
static enum err check_pair(const struct secret *s, struct diag *why)
{
    AUTO(tls_identity_unrefp) struct tls_identity *made = NULL;
    const struct tls_identity_settings settings = {
        .certificate = { s->certificate, "the certificate it returned" },
        .key = { s->key, "the key it returned" },
        .insecure = true,
    };

    return s->certificate ? tls_identity_create(&settings, &made, NULL, why) : OK;
}

static enum err take_result(struct exec_plugin *p, struct secret *ret, struct diag *why)
{
    const struct process_result *r = process_result(p->process);

    if (r->result == ERR_TIMEOUT || (r->result == OK && r->status)) {
        explain(p, r, why);
        return ERR_CREDENTIALS;
    }
    if (r->result)
        return diag_set(why, r->result, "%s", r->why.text);
    enum err e = exec_credential_parse(r->output, p->user->exec->api_version, ret, why);
    return e ? e : check_pair(ret, why);
}

static void on_ended(struct task *t)
{
    struct exec_plugin *p = container_of(t, struct exec_plugin, ended);
    struct secret secret = { 0 };
    struct diag why = { "" };

    if (!p->process || process_result(p->process)->result == ERR_AGAIN)
        return;
    timer_stop(&p->cap);
    exec_words_end(&p->words);
    free(TAKE(p->last_words));
    enum err e = take_result(p, &secret, &why);
    note_attendance(p, e);
    process_close(TAKE(p->process));
    release_terminal(p);
    if (e && p->words.tail_len)
        p->last_words = xstrdup(p->words.tail);
    if (e)
        renewal_fail(&p->renewal, &why);
    else
        renewal_succeed(&p->renewal, &secret);
    secret_finish(&secret);
}

/* ---- callers ---- */

static enum err begin_if_allowed(struct exec_plugin *p, struct credentials_want *w,
                                 struct diag *why)
{
    if (exec_plugin_is_interactive(p) && w->no_terminal)
        return diag_set(why, ERR_CREDENTIALS,
                        "%s prompts at the terminal of kube-tunnel, and this request "
                        "may not start it",
                        p->renewal.label);
    if (gets_terminal(p) && p->owner->on_terminal) {
        renewal_wait(&p->renewal, w);
        return diag_set(why, ERR_AGAIN, "%s waits for the terminal", p->renewal.label);
    }
    exec_plugin_begin(p);
    return OK;
}

static enum err wait_for_run(struct exec_plugin *p, struct credentials_want *w,
                             struct diag *why)
{
    renewal_wait(&p->renewal, w);
    return diag_set(why, ERR_AGAIN, "%s is still running", p->renewal.label);
}

/* For a caller when its API server has refused the present secret, or where there is none. */
static enum err exec_plugin_renew(struct exec_plugin *p, struct credentials_want *w,
                                  struct diag *why)
{
    enum renewal_state state = renewal_look(&p->renewal, w->background);

    if (state == RENEWAL_DUE) {
        enum err e = begin_if_allowed(p, w, why);
        if (e)
            return e;
        state = renewal_look(&p->renewal, w->background);
    }
    if (state == RENEWAL_RUNS)
        return wait_for_run(p, w, why);
    return state == RENEWAL_PAUSED
               ? diag_set(why, ERR_CREDENTIALS, "%s", p->renewal.why.text)
               : OK;
}

enum err exec_plugin_want(struct exec_plugin *p, uint64_t refused,
                          struct credentials_want *w, const struct secret **ret,
                          uint64_t *ret_generation, struct diag *why)
{
    enum err e = renewal_serves(&p->renewal, refused) ? OK : exec_plugin_renew(p, w, why);

    if (e)
        return e;
    *ret = &p->renewal.secret;
    *ret_generation = p->renewal.generation;
    return OK;
}

void exec_plugin_reject(struct exec_plugin *p, uint64_t generation)
{
    renewal_reject(&p->renewal, generation);
}

bool exec_plugin_is_missing(const struct exec_plugin *p, uint64_t refused,
                            struct diag *why)
{
    enum renewal_state state = renewal_look(&p->renewal, true);

    if (state == RENEWAL_VALID || renewal_serves(&p->renewal, refused))
        return false;
    if (state == RENEWAL_RUNS || !p->renewal.why.text[0])
        diag_set(why, ERR_CREDENTIALS, "%s is still running", p->renewal.label);
    else
        diag_set(why, ERR_CREDENTIALS, "%s", p->renewal.why.text);
    return true;
}

const char *exec_plugin_output(const struct exec_plugin *p)
{
    return p->last_words;
}
