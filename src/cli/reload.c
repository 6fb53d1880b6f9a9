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
        "\n"
        "      --name NAME  Which kube-tunnel; \"default\" without it");
}

static int reload(const struct args *a, const char *const *words, size_t word_count)
{
    json_t *answer = NULL;
    int status = refuse_words(words, word_count);

    if (!status)
        status = ask(a, "POST", "/v1/reload", NULL, &answer);
    if (!status)
        puts(text_of(answer, "state"));
    json_decref(answer);
    return status;
}

const struct command reload_command = {
    .name = "reload",
    .summary = "Let it read its configuration again",
    .help = reload_help,
    .run = reload,
};
