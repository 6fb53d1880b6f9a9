/* cli/version.c - kube-tunnel version */
#include <stdio.h>

#include "cli/command.h"

static void version_help(void)
{
    puts("Usage: kube-tunnel version\n\nPrint the version of this program.");
}

static int version(const struct args *a, const char *const *words, size_t word_count)
{
    (void)a;
    int status = refuse_words(words, word_count);
    if (!status)
        puts("kube-tunnel " VERSION);
    return status;
}

const struct command version_command = {
    .name = "version",
    .summary = "Print the version",
    .help = version_help,
    .run = version,
};
