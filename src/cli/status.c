/* cli/status.c - kube-tunnel status */
#include <stdio.h>

#include "base/own.h"
#include "base/rfc3339.h"
#include "cli/ask.h"
#include "cli/status_tables.h"
#include "cli/watch.h"

static void status_help(void)
{
    print_help(
        "Usage: kube-tunnel status [--name NAME] [-o wide|json|yaml|name]\n"
        "       kube-tunnel status --watch\n"
        "\n"
        "Print what the running kube-tunnel does: listeners, clients, tunnels and "
        "rates.\n"
        "\n"
        "      --watch          Show pods, clients or tunnels every second; keys: v "
        "view,\n"
        "                       s sort, r reverse, / filter, q quit\n"
        "      --name NAME      Of which kube-tunnel; \"default\" without it\n"
        "  -o, --output FORMAT  wide: each tunnel and more columns; json and yaml: all\n"
        "                       that is known; name: one KIND/NAME a line\n"
        "\n"
        "Exit status: 0; 1 if no kube-tunnel of that name runs.");
}

static int run_status(const struct args *a, const char *const *words, size_t word_count)
{
    enum output output;
    json_t *status = NULL;
    int result = refuse_words(words, word_count);

    if (!result)
        result = read_output_flag(a, &output);
    if (!result && args_own(a, "watch"))
        return output == OUTPUT_TABLE ? watch_status(a)
                                      : print_error("--watch shows tables only");
    if (!result)
        result = ask(a, "GET", "/v1/status", NULL, &status);
    if (result)
        return result;
    if (output == OUTPUT_JSON)
        print_json(status, stdout);
    else if (output == OUTPUT_YAML)
        print_yaml(status, stdout);
    else if (output == OUTPUT_NAME)
        print_status_names(status, stdout);
    else
        print_status_tables(status, output == OUTPUT_WIDE, stdout);
    json_decref(status);
    return EXIT_OK;
}

const struct command status_command = {
    .name = "status",
    .summary = "Print what the running kube-tunnel does",
    .help = status_help,
    .run = run_status,
};
