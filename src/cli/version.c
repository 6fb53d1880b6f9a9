/* cli/version.c - kube-tunnel version */
#include <jansson.h>
#include <stdio.h>

#include "cli/command.h"

#if defined(__x86_64__)
#define MACHINE "amd64"
#elif defined(__aarch64__)
#define MACHINE "arm64"
#else
#define MACHINE "unknown"
#endif
#define PLATFORM "linux/" MACHINE

static void version_help(void)
{
    print_help(
        "Usage: kube-tunnel version [-o json]\n"
        "\n"
        "Print the version of this program; with -o json also the compiler and the\n"
        "system it was built for.");
}

static int print_version_json(void)
{
    json_auto_t *o = json_pack("{s:s, s:s, s:s}", "version", VERSION, "compiler",
                               __VERSION__, "platform", PLATFORM);

    json_dumpf(o, stdout, JSON_INDENT(2));
    putchar('\n');
    return EXIT_OK;
}

static int version(const struct args *a, const char *const *words, size_t word_count)
{
    const char *output = args_own(a, "output");
    int status = refuse_words(words, word_count);

    if (status)
        return status;
    if (output && strcmp(output, "json") == 0)
        return print_version_json();
    if (output)
        return print_error("--output \"%s\": expected json", output);
    puts("kube-tunnel " VERSION);
    return EXIT_OK;
}

const struct command version_command = {
    .name = "version",
    .summary = "Print the version",
    .help = version_help,
    .run = version,
};
