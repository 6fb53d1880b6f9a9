/* cli/help.c - kube-tunnel help */
#include <stdio.h>

#include "cli/command.h"

static void help_help(void)
{
    print_help("Usage: kube-tunnel help [COMMAND]\n\n"
               "Print the help of a command, or of the program.");
}

static int help(const struct args *a, const char *const *words, size_t word_count)
{
    (void)a;
    if (!word_count) {
        command_overview();
        return EXIT_OK;
    }
    const struct command *command = command_find(words[0]);
    if (!command)
        return unknown_command(words[0]);
    command->help();
    return EXIT_OK;
}

const struct command help_command = {
    .name = "help",
    .argument = "[COMMAND]",
    .summary = "Print the help of a command",
    .help = help_help,
    .run = help,
};
