/* cli/reload.c - kube-tunnel reload */
#include <stdio.h>

#include "cli/ask.h"

static void reload_help(void)
{
    print_help(
        "Usage: kube-tunnel reload [--name NAME]\n"
        "\n"
        "Let the running kube-tunnel read its configuration again, as SIGHUP does. It "
        "is\n"
        "taken over whole, or refused with the reason, and then the old one stays.\n"
        "Prints each setting that changed, its old and new value and where that is "
        "from.\n"
        "\n"
        "      --name NAME  Which kube-tunnel; \"default\" without it");
}

static void print_reloaded(const json_t *answer)
{
    const json_t *changes = json_object_get(answer, "changes");

    puts(json_array_size(changes) ? "reloaded" : "reloaded: nothing has changed");
    print_changes(changes);
}

static int reload(const struct args *a, const char *const *words, size_t word_count)
{
    json_t *answer = NULL;
    int status = refuse_words(words, word_count);

    if (!status)
        status = ask(a, "POST", "/v1/reload", NULL, &answer);
    if (!status)
        print_reloaded(answer);
    json_decref(answer);
    return status;
}

const struct command reload_command = {
    .name = "reload",
    .summary = "Let it read its configuration again",
    .help = reload_help,
    .run = reload,
};
