/* cli/command.h - what a subcommand is, and what they share
 *
 * One file each; cli.c has the table of them.
 */
#pragma once

#include "cli/args.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct command {
    const char *name;
    const char *argument; /* after the name, in the help: "[COMMAND]"; or NULL */
    const char *summary;
    void (*help)(void); /* to stdout */
    /* words[0] is the first after the command's name.  Returns the exit status. */
    int (*run)(const struct args *a, const char *const *words, size_t word_count);
};

extern const struct command run_command, list_command, rbac_command, config_command,
    version_command, help_command;

/* NULL: there is none of that name. */
const struct command *command_find(const char *name);
/* The help of the program itself. */
void command_overview(void);

/* "kube-tunnel: ..." to stderr; returns EXIT_USAGE. */
int complain(const char *format, ...) PRINTF_LIKE(1, 2);
int complain_of_command(const char *name);
/* EXIT_OK when there are no words left over. */
int refuse_words(const char *const *words, size_t word_count);

/* From flags, environment and files, with its complaint already printed: EXIT_OK or
 * EXIT_USAGE.  *ret is written only on EXIT_OK.  Warnings are the caller's to print. */
MUST_CHECK int load_config(const struct args *a, struct config **ret);
void print_warnings(const struct config *config);
/* Levels, format and colours as configured, to stderr.  EXIT_OK or EXIT_USAGE. */
MUST_CHECK int start_log(const struct config *config);

/* Lines of two columns, the second wrapped to 80. */
void print_row(const char *left, int width, const char *right);
void print_heading(const char *text);
/* May colours go to this descriptor?  Only to a terminal, and never with NO_COLOR. */
bool may_colour(int fd);
