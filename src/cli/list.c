/* cli/list.c - kube-tunnel list */
#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "cli/command.h"
#include "cli/listing.h"

static void list_help(void)
{
    print_help(
        "Usage: kube-tunnel list [--SETTING VALUE]...\n"
        "\n"
        "Print the services of the cluster that can be reached, and their URLs.\n"
        "Nothing needs to be running.\n"
        "\n"
        "  -n, --namespace NS   Only this namespace\n"
        "  --context NAME       Context of the kubeconfig; all: each of them\n"
        "  -o, --output FORMAT  wide: all columns, not shortened; json; name:\n"
        "                       SERVICE.NAMESPACE.  Without it columns fit the terminal\n"
        "\n"
        "All settings: kube-tunnel help run.");
}

static const struct {
    const char *name;
    enum list_output output;
} outputs[] = { { "wide", LIST_WIDE }, { "json", LIST_JSON }, { "name", LIST_NAME } };

static int read_output(const char *name, enum list_output *ret)
{
    *ret = LIST_COLUMNS;
    if (!name)
        return EXIT_OK;
    for (size_t i = 0; i < ARRAY_LEN(outputs); i++) {
        if (strcmp(outputs[i].name, name) == 0) {
            *ret = outputs[i].output;
            return EXIT_OK;
        }
    }
    return print_error("--output \"%s\": expected wide, json or name", name);
}

/* The list is the output, so without another log level only warnings and errors are
 * logged. */
static int list(const struct args *a, const char *const *words, size_t word_count)
{
    AUTO(config_unrefp) struct config *config = NULL;

    enum list_output output;
    int status = refuse_words(words, word_count);
    if (!status)
        status = read_output(args_own(a, "output"), &output);
    if (!status)
        status = load_config(a, &config);
    if (!status)
        status = start_log(config);
    if (status)
        return status;
    print_warnings(config);
    if (!config_is_set(config, SETTING_log_level))
        log_set_level(LEVEL_WARN);
    status = list_services(config, output);
    log_flush();
    return status;
}

const struct command list_command = {
    .name = "list",
    .summary = "Print the services that can be reached, and their URLs",
    .help = list_help,
    .run = list,
};
