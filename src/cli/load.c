/* cli/load.c - load the user's configuration, and set up the log */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "cli/command.h"
#include "daemon/process.h"

#define FILE_NAME "kube-tunnel/config.yaml"
#define SYSTEM_FILE "/etc/" FILE_NAME

static const char *set_variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

/* $XDG_CONFIG_HOME is used only if it is absolute, as its specification requires. */
static char *user_file(void)
{
    const char *base = set_variable("XDG_CONFIG_HOME");
    const char *home = set_variable("HOME");

    if (base && base[0] == '/')
        return xasprintf("%s/" FILE_NAME, base);
    return home ? xasprintf("%s/.config/" FILE_NAME, home) : NULL;
}

static const char *chosen_file(const struct args *a)
{
    return a->config_file ? a->config_file : set_variable("KTUN_CONFIG");
}

void config_paths(const struct args *a, char *ret[static 2])
{
    const char *chosen = chosen_file(a);

    ret[0] = chosen ? xstrdup(chosen) : xstrdup(SYSTEM_FILE);
    ret[1] = chosen ? NULL : user_file();
}

enum err read_config(const struct args *a, struct config **ret, struct diag *why)
{
    AUTO_FREE char *user = user_file();
    const struct config_input input = {
        .file = chosen_file(a),
        .user_file = user,
        .system_file = SYSTEM_FILE,
        .environment = environ,
        .flags = a->flags,
        .flag_count = a->flag_count,
        .in_pod = in_pod(),
    };

    return config_load(&input, ret, why);
}

int load_config(const struct args *a, struct config **ret)
{
    struct diag why = { 0 };
    enum err e = read_config(a, ret, &why);

    return e ? print_error("%s", diag_text(&why, e)) : EXIT_OK;
}

int start_log(const struct config *config)
{
    struct diag why = { 0 };

    log_set_fd(STDERR_FILENO, may_colour(STDERR_FILENO));
    log_set_format(config->log_format);
    enum err e = log_set_levels(str_of(config->log_level), &why);
    return e ? print_error("log-level: %s", diag_text(&why, e)) : EXIT_OK;
}

void print_warnings(const struct config *config)
{
    for (size_t i = 0; i < config->warnings.count; i++)
        print_error("warning: %s", config->warnings.at[i]);
}
