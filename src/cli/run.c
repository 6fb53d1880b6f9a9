/* cli/run.c - kube-tunnel run, which is also the default command */
#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "cli/command.h"
#include "config/setting.h"
#include "daemon/daemon.h"

LOG_MODULE(cli);

#define LEFT_WIDTH 30

static void print_setting(const struct setting *s)
{
    const char *argument = setting_argument(s);
    AUTO_FREE char *left =
        xasprintf("%s--%s%s%s", s == &settings[SETTING_namespace] ? "-n, " : "", s->name,
                  argument ? " " : "", argument ? argument : "");
    bool shows_default = s->initial[0] && !setting_is_bool(s);
    AUTO_FREE char *right =
        xasprintf("%s%s%s%s", s->help, shows_default ? " (" : "",
                  shows_default ? s->initial : "", shows_default ? ")" : "");
    print_row(left, LEFT_WIDTH, right);
}

static void print_group(enum setting_group group)
{
    print_heading(setting_group_title(group));
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (settings[i].group == group)
            print_setting(&settings[i]);
}

static void run_help(void)
{
    print_help(
        "Usage: kube-tunnel [run] [--SETTING VALUE]...\n"
        "\n"
        "Serve requests for the services of a cluster until a signal stops it.\n"
        "Each setting is also an environment variable (--idle-timeout is\n"
        "KTUN_IDLE_TIMEOUT) and a key of the configuration file (idle-timeout: 5m).");
    for (enum setting_group g = 0; g < GROUP_COUNT; g++)
        print_group(g);
    print_heading("Else");
    print_row("--config FILE", LEFT_WIDTH,
              "Configuration file, instead of the usual ones");
}

static void log_warnings(const struct config *config)
{
    for (size_t i = 0; i < config->warnings.count; i++)
        log_warn(NO_ID, config->warnings.at[i]);
}

static enum err load_again(void *owner, struct config **ret, struct diag *why)
{
    return read_config(owner, ret, why);
}

static int serve_requests(const struct args *a, const struct config *config)
{
    struct args same = *a;
    char *paths[CONFIG_PATHS];

    config_paths(a, paths);
    const struct config_source source = { load_again, &same, { paths[0], paths[1] } };
    int status = daemon_run(config, &source);
    free(paths[0]);
    free(paths[1]);
    return status;
}

static int run(const struct args *a, const char *const *words, size_t word_count)
{
    AUTO(config_unrefp) struct config *config = NULL;

    int status = refuse_words(words, word_count);
    if (!status)
        status = load_config(a, &config);
    if (!status)
        status = start_log(config);
    if (status)
        return status;
    log_warnings(config);
    status = serve_requests(a, config);
    log_flush();
    return status;
}

const struct command run_command = {
    .name = "run",
    .summary = "Serve requests for services; the default command",
    .help = run_help,
    .run = run,
};
