/* cli/config.c - kube-tunnel config: show and check */
#include <stdio.h>

#include "base/own.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/config_init.h"
#include "config/change.h"
#include "control/client.h"
#include "daemon/refusals.h"

static void config_help(void)
{
    print_help(
        "Usage: kube-tunnel config show [--diff] [SETTING]...\n"
        "       kube-tunnel config check\n"
        "       kube-tunnel config init [--config FILE]\n"
        "\n"
        "show   Print settings, their values and where each came from.\n"
        "       --diff: only those that differ from what the running kube-tunnel has\n"
        "       (--name), or if none runs, and with other flags, from their defaults; "
        "and\n"
        "       whether a change applies while it runs (reload) or at its next start\n"
        "       (restart).\n"
        "check  Check the configuration: exit status 0 if it is valid, else 2.\n"
        "       Neither a kubeconfig nor the cluster is read.\n"
        "init   Write a file with every setting as a comment, with its default. A file\n"
        "       that exists is not changed.\n\n"
        "Precedence, for each setting: flags, then the environment\n"
        "(KTUN_IDLE_TIMEOUT=5m), then the file of --config or KTUN_CONFIG, or without\n"
        "one ~/.config/kube-tunnel/config.yaml and /etc/kube-tunnel/config.yaml, then\n"
        "the default.\n\n"
        "  # ~/.config/kube-tunnel/config.yaml\n"
        "  port: 8080\n"
        "  idle-timeout: 5m");
}

static const char *or_dash(const char *text)
{
    return text[0] ? text : "-";
}

static void show_one(const struct setting *s, const struct config *config)
{
    AUTO_FREE char *value = setting_print(s, config);
    AUTO_FREE char *origin = setting_origin(s, config);

    printf("%-20s  %-20s  %s\n", s->name, or_dash(value), origin);
}

static bool is_named(const struct setting *s, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (setting_find_loosely(str_of(names[i])) == s)
            return true;
    return count == 0;
}

static void show_changes(const struct config *config, const char *const *names,
                         size_t count)
{
    AUTO(config_unrefp) struct config *initial = config_default();
    struct setting_changes changes = { 0 };

    setting_changes_find(initial, config, &changes);
    for (size_t i = 0; i < changes.count; i++) {
        const struct setting_change *c = &changes.at[i];
        if (is_named(c->setting, names, count))
            printf("%-20s  %s -> %s  %s  %s\n", c->setting->name, or_dash(c->before),
                   or_dash(c->after), c->origin, c->restart ? "restart" : "reload");
    }
    setting_changes_finish(&changes);
}

static void show_all(const struct config *config)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        show_one(&settings[i], config);
}

static int check_names(const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (setting_find_loosely(str_of(names[i])))
            continue;
        const char *nearest = setting_nearest(str_of(names[i]));
        return nearest ? print_error("no setting is called \"%s\"; is it \"%s\"?",
                                     names[i], nearest)
                       : print_error("no setting is called \"%s\"", names[i]);
    }
    return EXIT_OK;
}

/* With settings of its own the command compares these. */
static bool is_about_running(const struct args *a)
{
    for (size_t i = 0; i < a->flag_count; i++)
        if (strcmp(a->flags[i].name, "name") != 0)
            return false;
    return !a->config_file;
}

static json_t *named_changes(const json_t *changes, const char *const *names,
                             size_t count)
{
    json_t *list = json_array(), *c;
    size_t i;

    json_array_foreach(changes, i,
                       c) if (is_named(setting_find(str_of(text_of(c, "setting"))), names,
                                       count)) json_array_append(list, c);
    return list;
}

/* False: none runs. */
static bool show_pending(const struct config *config, const char *const *names,
                         size_t count, int *ret_status)
{
    struct control_reply reply = { 0 };
    struct diag why = { "" };

    if (control_call(config->name, "GET", "/v1/reload", NULL, &reply, &why))
        return false;
    if (reply.status == 200) {
        json_t *changes =
            named_changes(json_object_get(reply.json, "changes"), names, count);
        fprintf(stderr, "compared with the running kube-tunnel \"%s\"\n", config->name);
        print_changes(changes);
        json_decref(changes);
        *ret_status = EXIT_OK;
    } else {
        *ret_status =
            print_failure("%s", text_of(json_object_get(reply.json, "error"), "message"));
    }
    json_decref(reply.json);
    return true;
}

static int show(const struct args *a, const struct config *config,
                const char *const *names, size_t count)
{
    int status = check_names(names, count);

    if (status)
        return status;
    if (args_own(a, "diff")) {
        if (!is_about_running(a) || !show_pending(config, names, count, &status))
            show_changes(config, names, count);
        return status;
    }
    if (!count)
        show_all(config);
    for (size_t i = 0; i < count; i++)
        show_one(setting_find_loosely(str_of(names[i])), config);
    return EXIT_OK;
}

static int config_check(const struct args *a, const struct config *config,
                        const char *const *words, size_t count)
{
    int status = args_own(a, "diff") ? print_error("only \"config show\" takes --diff")
                                     : refuse_words(words, count);

    if (status)
        return status;
    struct diag why = { 0 };
    enum err e = refusals_check(config, &why);
    if (e)
        return print_error("%s", diag_text(&why, e));
    if (!config->files.count)
        puts("ok: there is no configuration file");
    for (size_t i = 0; i < config->files.count; i++)
        printf("ok: %s\n", config->files.at[i]);
    return EXIT_OK;
}

static const struct {
    const char *word;
    int (*run)(const struct args *a, const struct config *config,
               const char *const *words, size_t count);
} actions[] = { { "show", show }, { "check", config_check } };

static int run_init(const struct args *a, const char *const *words, size_t count)
{
    int status = refuse_words(words, count);

    if (!status && args_own(a, "diff"))
        status = print_error("only \"config show\" takes --diff");
    return status ? status : config_init(a);
}

static int config_run(const struct args *a, const char *const *words, size_t word_count)
{
    const char *word = word_count ? words[0] : "";

    if (strcmp(word, "init") == 0)
        return run_init(a, words + 1, word_count - 1);
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (strcmp(word, actions[i].word) != 0)
            continue;
        AUTO(config_unrefp) struct config *config = NULL;
        int status = load_config(a, &config);
        if (status)
            return status;
        print_warnings(config);
        return actions[i].run(a, config, words + 1, word_count - 1);
    }
    return word_count
               ? print_error("config: unknown subcommand \"%s\" (show, check or init)",
                             word)
               : print_error("config: the subcommand is missing (show, check or init)");
}

const struct command config_command = {
    .name = "config",
    .argument = "show|...",
    .summary = "Show or check settings, or write a file of them",
    .help = config_help,
    .run = config_run,
};
