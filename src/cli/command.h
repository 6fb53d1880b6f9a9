/* cli/command.h - the struct of a subcommand, and functions that they share
 *
 * Each subcommand is a file; cli.c has the table of them.
 */
#pragma once

#include "cli/args.h"

/* EXIT_NO_RIGHT: dns install; like EX_NOPERM of sysexits.h. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_RIGHT = 77 };

struct command {
    const char *name;
    const char *argument; /* after the name, in the help: "[COMMAND]"; or NULL */
    const char *summary;
    void (*help)(void); /* to stdout */
    /* words[0] is the first after the command's name.  Returns the exit status. */
    int (*run)(const struct args *a, const char *const *words, size_t word_count);
};

extern const struct command run_command, status_command, tail_command, replay_command,
    exec_command, explain_command, expose_command, stop_command, reload_command,
    list_command, doctor_command, rbac_command, config_command, ca_command, dns_command,
    port_forward_command, completion_command, complete_command, version_command,
    help_command;

/* NULL: there is no command of that name. */
const struct command *command_find(const char *name);
/* The commands in the order of the help; NULL: there are no more.  One without a summary is
 * in no list. */
const struct command *command_at(size_t i);
/* Prints the help of the program itself. */
void command_overview(void);

/* "kube-tunnel", or "kubectl tunnel" for a program that is called kubectl-tunnel. */
const char *program_name(void);
/* Prints a help text that begins with "Usage: kube-tunnel", under the program's name. */
void print_help(const char *text);

/* "kube-tunnel: ..." to stderr; returns EXIT_USAGE. */
int print_error(const char *format, ...) PRINTF_LIKE(1, 2);
int unknown_command(const char *name);
/* The same, as kubectl port-forward prints and returns it. */
int port_forward_usage_error(const char *text);
/* EXIT_OK when there are no words; otherwise prints an error. */
int refuse_words(const char *const *words, size_t word_count);

/* Loads the configuration from flags, environment and files.  EXIT_OK or, after printing
 * the error, EXIT_USAGE.  *ret is written only on EXIT_OK.  Warnings are the caller's to
 * print. */
MUST_CHECK int load_config(const struct args *a, struct config **ret);
/* The same without a message; *why is the sentence. */
MUST_CHECK enum err read_config(const struct args *a, struct config **ret,
                                struct diag *why);
/* The files that may be part of the configuration; the texts are owned by the caller, and
 * NULL where there are fewer. */
void config_paths(const struct args *a, char *ret[static 2]);
void print_warnings(const struct config *config);
/* Sets up the log on stderr, with levels, format and colours as configured.  EXIT_OK or
 * EXIT_USAGE. */
MUST_CHECK int start_log(const struct config *config);

/* Prints a row of two columns; the second is wrapped at 80 characters. */
void print_row(const char *left, int width, const char *right);
void print_heading(const char *text);
/* May colours be written to this descriptor?  Only to a terminal, and never with
 * NO_COLOR. */
bool may_colour(int fd);
