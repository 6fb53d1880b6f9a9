/* cli/stop.c - kube-tunnel stop */
#include <stdio.h>

#include "cli/ask.h"

static void stop_help(void)
{
    print_help("Usage: kube-tunnel stop [--name NAME] [--now | --drain]\n"
               "\n"
               "End the running kube-tunnel. Requests have --drain-timeout to finish.\n"
               "\n"
               "      --name NAME  Which kube-tunnel; \"default\" without it\n"
               "      --now        Cut running requests\n"
               "      --drain      Only refuse new clients; the process goes on");
}

static int stop(const struct args *a, const char *const *words, size_t word_count)
{
    json_t *answer = NULL;
    bool now = args_own(a, "now"), drain = args_own(a, "drain");
    int status = refuse_words(words, word_count);

    if (!status && now && drain)
        status = print_error("--now and --drain exclude each other");
    if (!status)
        status = ask(a, "POST", drain ? "/v1/drain" : "/v1/stop",
                     drain ? NULL : json_pack("{s:b}", "now", now), &answer);
    if (!status)
        puts(text_of(answer, "state"));
    json_decref(answer);
    return status;
}

const struct command stop_command = {
    .name = "stop",
    .summary = "End the running kube-tunnel",
    .help = stop_help,
    .run = stop,
};
