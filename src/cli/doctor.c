/* cli/doctor.c - kube-tunnel doctor */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "doctor/doctor.h"

#define NAME_WIDTH 13
#define INDENT 21

static void doctor_help(void)
{
    print_help(
        "Usage: kube-tunnel doctor [SERVICE.NAMESPACE] [--SETTING VALUE]...\n"
        "\n"
        "Find out what keeps kube-tunnel from working: configuration, kubeconfig,\n"
        "credentials and their expiry, proxies, the API server and its clock, rights,\n"
        "ports, and a tunnel to a pod (of that service, if one is named). Each problem\n"
        "comes with what to do about it. Nothing needs to be running, and nothing is\n"
        "changed.\n"
        "\n"
        "  -o, --output json   For programs\n"
        "\n"
        "Exit status: 0, also with warnings; 1 when a check has failed.");
}

static const struct {
    const char *word, *colour;
} statuses[] = {
    [FINDING_PENDING] = { "?", "" },
    [FINDING_OK] = { "ok", "\033[32m" },
    [FINDING_WARNING] = { "warning", "\033[33m" },
    [FINDING_FAILED] = { "failed", "\033[31m" },
    [FINDING_SKIPPED] = { "skipped", "" },
};

static void print_lines(const char *text)
{
    struct str line, rest = str_of(text);

    while (rest.at) {
        rest = str_cut(rest, '\n', &line);
        printf("%*s%.*s\n", INDENT + 3, "", STR_ARG(line));
    }
}

static void print_finding(const struct finding *f, bool colour)
{
    const char *on = colour ? statuses[f->status].colour : "";

    printf("%s%-7s%s %-*s %s\n", on, statuses[f->status].word, on[0] ? "\033[0m" : "",
           NAME_WIDTH, f->name, f->text);
    if (f->fix[0])
        print_lines(f->fix);
}

static void print_findings(const struct finding *findings, size_t count)
{
    bool colour = may_colour(STDOUT_FILENO);

    for (size_t i = 0; i < count; i++)
        print_finding(&findings[i], colour);
}

static json_t *finding_json(const struct finding *f)
{
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:I}", "name", f->name, "status",
                  statuses[f->status].word, "text", f->text, "ms", (json_int_t)f->ms);

    if (f->fix[0])
        json_object_set_new(o, "fix", json_string(f->fix));
    return o;
}

static void print_json(const struct finding *findings, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, finding_json(&findings[i]));
    json_auto_t *o = json_pack("{s:b, s:o}", "ok", !doctor_found_failure(findings, count),
                               "checks", list);
    json_dumpf(o, stdout, JSON_INDENT(2));
    putchar('\n');
}

static int read_service(const char *const *words, size_t count, struct doctor_question *q)
{
    if (count > 1)
        return refuse_words(words + 1, count - 1);
    if (!count)
        return EXIT_OK;
    q->ns = str_cut(str_of(words[0]), '.', &q->service);
    if (is_dns_label(q->service) && is_dns_label(q->ns))
        return EXIT_OK;
    return print_error("\"%s\": expected SERVICE.NAMESPACE, for example web.shop",
                       words[0]);
}

/* An error in the settings is a finding like any other. */
static void load(const struct args *a, struct config **config, struct doctor_question *q)
{
    if (read_config(a, config, &q->why))
        return;
    q->config = *config;
    print_warnings(*config);
    if (!config_is_set(*config, SETTING_log_level))
        log_set_level(LEVEL_ERROR);
}

static int run_doctor(const struct args *a, const char *const *words, size_t word_count)
{
    AUTO(config_unrefp) struct config *config = NULL;
    const char *output = args_own(a, "output");
    struct doctor_question q = { 0 };
    size_t count;
    int status = read_service(words, word_count, &q);

    if (!status && output && strcmp(output, "json") != 0)
        status = print_error("--output \"%s\": expected json", output);
    if (status)
        return status;
    load(a, &config, &q);
    progress_begin_call("checking; each check takes at most 15 s");
    AUTO_FREE struct finding *findings = doctor_run(&q, &count);
    progress_end_call();
    log_flush();
    if (output)
        print_json(findings, count);
    else
        print_findings(findings, count);
    return doctor_found_failure(findings, count) ? EXIT_FAILED : EXIT_OK;
}

const struct command doctor_command = {
    .name = "doctor",
    .argument = "[NAME]",
    .summary = "Find out what does not work, and what to do about it",
    .help = doctor_help,
    .run = run_doctor,
};
