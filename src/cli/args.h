/* cli/args.h - parse argv into words and flags
 *
 * Flags are those of settings (config/settings.h) and a few of single commands, in any
 * order among the words: --port 80, --port=80, -port 80, -n shop, --half-close,
 * --no-half-close, -o json. "--" ends them.  Values are checked later, by config_load.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

struct args {
    const char **words; /* arguments that are no flags; the first is the command */
    size_t word_count;
    struct config_flag *flags;
    size_t flag_count;
    const char *config_file; /* --config, or NULL */
    struct config_flag *own; /* flags of single commands: --output, --level, ... */
    size_t own_count;
    bool help, version;
};

/* The last value of such a flag ("true" where it has none), or NULL. */
const char *args_own(const struct args *a, const char *name);
/* The commands that take this flag, with blanks between them; NULL: it is no such flag. */
const char *args_owners(const char *name);
/* The flags of single commands, from 0; NULL: there are no more. */
const char *args_flag_at(size_t i);
/* Is it one of these, with a value?  Also by its letter. */
bool args_takes_value(struct str name);
bool args_is_of(const char *name, const char *command);

/* ERR_CONFIG: *why names the flag.  Borrows argv; args_finish also after a failure. */
MUST_CHECK enum err args_parse(struct args *a, int argc, char **argv, struct diag *why);
void args_finish(struct args *a);
