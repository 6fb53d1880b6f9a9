/* cli/explain.c - kube-tunnel explain */
#include <stdio.h>
#include <unistd.h>

#include "base/own.h"
#include "base/utf8.h"
#include "cli/ask.h"
#include "control/client.h"

static void explain_help(void)
{
    print_help(
        "Usage: kube-tunnel explain NAME[:PORT] [--name NAME] [-o json|yaml|name]\n"
        "\n"
        "Print how the running kube-tunnel resolves a name, step by step: what each\n"
        "object has, which rule decides, and the pod, or the reason why there is none.\n"
        "\n"
        "  kube-tunnel explain web.shop\n"
        "  kube-tunnel explain http://web.shop.localhost:8080/\n"
        "\n"
        "Exit status: 0 if it ends in a pod, else 1.");
}

static char *printable(const char *text)
{
    char *copy = xstrdup(text);

    text_make_printable(copy, false);
    return copy;
}

static void print_step(const json_t *step, bool colour)
{
    bool ok = json_is_true(json_object_get(step, "ok"));
    AUTO_FREE char *object = printable(text_of(step, "object"));
    AUTO_FREE char *finding = printable(text_of(step, "finding"));
    const char *mark = ok ? "ok" : "no";

    printf("%s%s%s  %-13s  %s%s%s\n", colour ? ok ? "\033[32m" : "\033[31m" : "", mark,
           colour ? "\033[0m" : "", text_of(step, "step"), object, object[0] ? ": " : "",
           finding);
}

static void print_end(const json_t *answer)
{
    const json_t *pod = json_object_get(answer, "pod");
    AUTO_FREE char *ns = printable(text_of(pod, "namespace"));
    AUTO_FREE char *name = printable(text_of(pod, "name"));

    if (pod)
        printf("\nIt leads to pod %s/%s, port %lld.\n", ns, name, number_of(pod, "port"));
    else if (text_of(answer, "next")[0])
        printf("\nIt leads to no pod; type: %s\n", text_of(answer, "next"));
    else
        printf("\nIt leads to no pod.\n");
}

static void print_steps(const json_t *answer)
{
    bool colour = may_colour(STDOUT_FILENO);
    size_t i;
    json_t *step;

    json_array_foreach(json_object_get(answer, "steps"), i, step)
        print_step(step, colour);
    print_end(answer);
}

static void print_pod_name(const json_t *answer)
{
    const json_t *pod = json_object_get(answer, "pod");
    AUTO_FREE char *name = printable(text_of(pod, "name"));

    if (pod)
        printf("pod/%s\n", name);
}

static int run_explain(const struct args *a, const char *const *words, size_t word_count)
{
    enum output output;
    json_t *answer = NULL;

    if (word_count != 1)
        return print_error("explain takes one name; for instance: kube-tunnel explain "
                           "web.shop");
    int status = read_output_flag(a, &output);
    if (status)
        return status;
    AUTO_FREE char *name = query_encode(words[0]);
    AUTO_FREE char *path = xasprintf("/v1/explain?name=%s", name);
    status = ask(a, "GET", path, NULL, &answer);
    if (status)
        return status;
    if (output == OUTPUT_JSON)
        print_json(answer, stdout);
    else if (output == OUTPUT_YAML)
        print_yaml(answer, stdout);
    else if (output == OUTPUT_NAME)
        print_pod_name(answer);
    else
        print_steps(answer);
    status = json_is_true(json_object_get(answer, "reachable")) ? EXIT_OK : EXIT_FAILED;
    json_decref(answer);
    return status;
}

const struct command explain_command = {
    .name = "explain",
    .argument = "NAME",
    .summary = "Print how a name leads to a pod, or why it does not",
    .help = explain_help,
    .run = run_explain,
};
