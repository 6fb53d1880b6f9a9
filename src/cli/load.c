/* cli/load.c - load the user's configuration, and set up the log */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "cli/command.h"
#include "daemon/process.h"

#define FILE_NAME "kube-tunnel/config.yaml"

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

int load_config(const struct args *a, struct config **ret)
{
    AUTO_FREE char *user = user_file();
    struct diag why = { 0 };
    const struct config_input input = {
        .file = a->config_file ? a->config_file : set_variable("KTUN_CONFIG"),
        .user_file = user,
        .system_file = "/etc/" FILE_NAME,
        .environment = environ,
        .flags = a->flags,
        .flag_count = a->flag_count,
        .in_pod = in_pod(),
    };

    enum err e = config_load(&input, ret, &why);
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
