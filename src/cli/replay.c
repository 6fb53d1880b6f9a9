/* cli/replay.c - kube-tunnel replay */
#include <stdio.h>

#include "base/own.h"
#include "base/utf8.h"
#include "cli/ask.h"
#include "control/client.h"

static void replay_help(void)
{
    print_help(
        "Usage: kube-tunnel replay ID [--unsafe]\n"
        "\n"
        "Send a request again that kube-tunnel tail has shown in the last ten minutes,\n"
        "with its credentials, and print the status and headers of the response.\n"
        "\n"
        "      --unsafe     Also if its method may change something: POST, DELETE, ...\n"
        "      --name NAME  Of which kube-tunnel; \"default\" without it");
}

static void print_response(const json_t *answer)
{
    size_t i;
    json_t *pair;

    printf("status %lld, %lld bytes, %lld ms\n", number_of(answer, "status"),
           number_of(answer, "bodyBytes"), number_of(answer, "ms"));
    json_array_foreach(json_object_get(answer, "headers"), i, pair)
    {
        AUTO_FREE char *line =
            xasprintf("%s: %s", json_string_value(json_array_get(pair, 0)),
                      json_string_value(json_array_get(pair, 1)));
        text_make_printable(line, false);
        puts(line);
    }
}

static int run_replay(const struct args *a, const char *const *words, size_t word_count)
{
    json_t *answer = NULL;

    if (word_count != 1)
        return print_error(
            "replay takes the ID of one request; kube-tunnel tail shows it");
    AUTO_FREE char *id = query_encode(words[0]);
    AUTO_FREE char *path = xasprintf("/v1/requests/%s/replay", id);
    int status =
        ask(a, "POST", path, json_pack("{s:b}", "unsafe", args_own(a, "unsafe") != NULL),
            &answer);
    if (!status)
        print_response(answer);
    json_decref(answer);
    return status;
}

const struct command replay_command = {
    .name = "replay",
    .argument = "ID",
    .summary = "Send a request again that tail has shown",
    .help = replay_help,
    .run = run_replay,
};
