/* cli/cli.c - the table of commands, and finding the one on the command line */
#include "cli/cli.h"

#include <stdio.h>

#include "base/map.h"
#include "base/own.h"
#include "cli/command.h"
#include "config/setting.h"

static const struct command *const commands[] = {
    &run_command,        &status_command,  &tail_command,   &replay_command,
    &explain_command,    &exec_command,    &expose_command, &port_forward_command,
    &stop_command,       &reload_command,  &list_command,   &doctor_command,
    &rbac_command,       &config_command,  &ca_command,     &dns_command,
    &completion_command, &version_command, &help_command,   &complete_command,
};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

const struct command *command_at(size_t i)
{
    return i < ARRAY_LEN(commands) ? commands[i] : NULL;
}

int unknown_command(const char *name)
{
    const char *names[ARRAY_LEN(commands) + 1] = { NULL };

    for (size_t i = 0, n = 0; i < ARRAY_LEN(commands); i++)
        if (commands[i]->summary)
            names[n++] = commands[i]->name;
    const char *nearest = nearest_name(str_of(name), names);
    if (nearest)
        return print_error("unknown command \"%s\"; is it \"%s\"?", name, nearest);
    return print_error("unknown command \"%s\"; see kube-tunnel --help", name);
}

static void print_command(const struct command *c)
{
    AUTO_FREE char *left = xasprintf("%s%s%s", c->name, c->argument ? " " : "",
                                     c->argument ? c->argument : "");
    print_row(left, 18, c->summary);
}

void command_overview(void)
{
    puts("kube-tunnel: every service of a Kubernetes cluster under its own name");
    print_help("Usage: kube-tunnel [COMMAND] [--SETTING VALUE]...\n"
               "While it runs:  curl http://web.shop.localhost/");
    print_heading("Commands");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (commands[i]->summary)
            print_command(commands[i]);
    puts("\nAll settings: kube-tunnel help run. More: man kube-tunnel, "
         "man kube-tunnel.conf");
}

static int dispatch(const struct args *a)
{
    const char *name = a->word_count ? a->words[0] : "run";
    const struct command *command = command_find(name);

    if (a->version)
        return version_command.run(a, NULL, 0);
    if (!a->word_count && a->help) {
        command_overview();
        return EXIT_OK;
    }
    if (!command)
        return unknown_command(name);
    if (a->help) {
        command->help();
        return EXIT_OK;
    }
    for (size_t i = 0; i < a->own_count; i++)
        if (!args_is_of(a->own[i].name, command->name))
            return print_error("only \"%s\" takes --%s", args_owners(a->own[i].name),
                               a->own[i].name);
    size_t named = a->word_count ? 1 : 0;
    return command->run(a, a->words + named, a->word_count - named);
}

/* Output that could not be written, for instance on a full disk, is a failure. */
static int flushed(int status)
{
    if (!fflush(stdout) && !ferror(stdout))
        return status;
    print_error("cannot write the output");
    return status ? status : EXIT_FAILED;
}

int cli_main(int argc, char **argv)
{
    AUTO(args_finish) struct args args;
    struct diag why = { 0 };

    map_choose_seed();
    enum err e = args_parse(&args, argc, argv, &why);
    if (e && args.word_count && strcmp(args.words[0], port_forward_command.name) == 0)
        return port_forward_usage_error(diag_text(&why, e));
    if (e)
        return print_error("%s", diag_text(&why, e));
    return flushed(dispatch(&args));
}
