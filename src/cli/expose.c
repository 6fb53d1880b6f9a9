/* cli/expose.c - kube-tunnel expose: ports and aliases of a running kube-tunnel */
#include <stdio.h>

#include "base/own.h"
#include "cli/ask.h"
#include "control/client.h"

static void expose_help(void)
{
    print_help(
        "Usage: kube-tunnel expose NAME:PORT[=LOCAL] [--raw] [--any-host]\n"
        "       kube-tunnel expose --alias NAME=SERVICE.NAMESPACE[:PORT]\n"
        "       kube-tunnel expose --remove LOCAL_PORT|ALIAS\n"
        "\n"
        "Give a service a local port, or a name, while kube-tunnel runs. It lasts until\n"
        "that ends; the settings --expose and --alias are for each start.\n"
        "\n"
        "  kube-tunnel expose pg.shop:5432          localhost:5432\n"
        "  kube-tunnel expose pg.shop:5432=15432    localhost:15432\n"
        "  kube-tunnel expose --remove 15432\n"
        "\n"
        "      --raw        Carry HTTP as bytes, too, without checks\n"
        "      --any-host   Accept any Host from browsers\n"
        "      --name NAME  Of which kube-tunnel; \"default\" without it");
}

static int add_port(const struct args *a, const char *text)
{
    json_t *answer = NULL;
    int status = ask(a, "POST", "/v1/exposes",
                     json_pack("{s:s, s:b, s:b}", "expose", text, "raw",
                               args_own(a, "raw") != NULL, "anyHost",
                               args_own(a, "any-host") != NULL),
                     &answer);

    if (!status)
        printf("localhost:%lld leads to %.*s\n", number_of(answer, "port"),
               (int)strcspn(text, "="), text);
    json_decref(answer);
    return status;
}

static int add_alias(const struct args *a, const char *text)
{
    json_t *answer = NULL;
    int status =
        ask(a, "POST", "/v1/aliases", json_pack("{s:s}", "alias", text), &answer);

    if (!status)
        printf("http://%s.localhost/ leads to %s\n", text_of(answer, "alias"),
               strchr(text, '=') + 1);
    json_decref(answer);
    return status;
}

static int remove_one(const struct args *a, const char *text)
{
    bool port = text[strspn(text, "0123456789")] == '\0';
    AUTO_FREE char *name = query_encode(text);
    AUTO_FREE char *path = xasprintf("/v1/%s/%s", port ? "exposes" : "aliases", name);
    json_t *answer = NULL;
    int status = ask(a, "DELETE", path, NULL, &answer);

    if (!status)
        printf("%s is removed\n", text);
    json_decref(answer);
    return status;
}

/* --alias is a setting of the process, too: the value given last is meant. */
static const char *alias_of(const struct args *a)
{
    const char *value = NULL;

    for (size_t i = 0; i < a->flag_count; i++)
        if (strcmp(a->flags[i].name, "alias") == 0)
            value = a->flags[i].value;
    return value;
}

static int run_expose(const struct args *a, const char *const *words, size_t word_count)
{
    const char *gone = args_own(a, "remove"), *alias = alias_of(a);

    if (word_count + (gone ? 1 : 0) + (alias ? 1 : 0) != 1)
        return print_error(
            "expose takes one NAME:PORT, --alias or --remove; for instance: "
            "kube-tunnel expose pg.shop:5432");
    if (gone)
        return remove_one(a, gone);
    return alias ? add_alias(a, alias) : add_port(a, words[0]);
}

const struct command expose_command = {
    .name = "expose",
    .argument = "NAME:PORT",
    .summary = "Add or remove a local port or an alias while it runs",
    .help = expose_help,
    .run = run_expose,
};
