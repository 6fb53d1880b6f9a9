/* cli/ask.c - commands that ask a running kube-tunnel */
#include "cli/ask.h"

#include <stdarg.h>

#include "base/own.h"
#include "base/utf8.h"
#include "cli/progress.h"
#include "control/client.h"

int print_failure(const char *format, ...)
{
    char text[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    text_make_printable(text, true);
    print_error("%s", text);
    return EXIT_FAILED;
}

int asked_name(const struct args *a, char **ret)
{
    AUTO(config_unrefp) struct config *config = NULL;
    int status = load_config(a, &config);

    if (!status)
        *ret = xstrdup(config->name);
    return status;
}

static int print_refusal(const json_t *answer)
{
    const json_t *error = json_object_get(answer, "error");
    const char *next = text_of(error, "next");

    if (next[0])
        return print_failure("%s; type: %s", text_of(error, "message"), next);
    return print_failure("%s", text_of(error, "message"));
}

int ask(const struct args *a, const char *method, const char *path, json_t *body,
        json_t **ret)
{
    AUTO_FREE char *name = NULL;
    struct control_reply reply = { 0 };
    struct diag why = { "" };
    int status = asked_name(a, &name);

    if (status) {
        json_decref(body);
        return status;
    }
    progress_begin_call("waiting for the answer of the running kube-tunnel");
    enum err e = control_call(name, method, path, body, &reply, &why);
    progress_end_call();
    if (e)
        return print_failure("%s", diag_text(&why, e));
    if (reply.status < 300) {
        *ret = reply.json;
        return EXIT_OK;
    }
    status = print_refusal(reply.json);
    json_decref(reply.json);
    return status;
}

int read_output_flag(const struct args *a, enum output *ret)
{
    static const char *const names[] = { "wide", "json", "yaml", "name" };
    const char *value = args_own(a, "output");

    *ret = OUTPUT_TABLE;
    if (!value)
        return EXIT_OK;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(value, names[i]) != 0)
            continue;
        *ret = (enum output)(i + OUTPUT_WIDE);
        return EXIT_OK;
    }
    return print_error("--output \"%s\": expected wide, json, yaml or name", value);
}

const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

long long number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *shown(const json_t *change, const char *key)
{
    const char *text = text_of(change, key);
    return text[0] ? text : "-";
}

void print_changes(const json_t *changes)
{
    json_t *c;
    size_t i;

    json_array_foreach(changes, i, c)
    {
        AUTO_FREE char *line =
            xasprintf("%-20s  %s -> %s  %s  %s", text_of(c, "setting"),
                      shown(c, "before"), shown(c, "after"), text_of(c, "from"),
                      json_is_true(json_object_get(c, "restart")) ? "restart" : "reload");
        text_make_printable(line, false);
        puts(line);
    }
}

char *event_pod(const json_t *event)
{
    const char *ns = text_of(event, "podNamespace"), *pod = text_of(event, "pod");

    return pod[0] ? xasprintf("%s/%s", ns[0] ? ns : text_of(event, "namespace"), pod)
                  : NULL;
}

const char *age_text(uint64_t ms, char room[static 32])
{
    static const struct {
        uint64_t ms;
        char unit;
    } units[] = { { 86400000, 'd' }, { 3600000, 'h' }, { 60000, 'm' }, { 1000, 's' } };
    size_t i = 0;

    while (i + 1 < ARRAY_LEN(units) && ms < 2 * units[i].ms)
        i++;
    snprintf(room, 32, "%llu%c", (unsigned long long)(ms / units[i].ms), units[i].unit);
    return room;
}

void print_json(const json_t *json, FILE *to)
{
    json_dumpf(json, to, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    fputc('\n', to);
}

/* --- YAML: strings are quoted as in JSON, which YAML reads, too --- */

static void yaml_value(const json_t *json, int indent, bool in_list, FILE *to);

static void yaml_scalar(const json_t *json, FILE *to)
{
    fputc(' ', to);
    json_dumpf(json, to, JSON_ENSURE_ASCII | JSON_ENCODE_ANY | JSON_COMPACT);
    fputc('\n', to);
}

static void yaml_object(const json_t *json, int indent, bool in_list, FILE *to)
{
    const char *key;
    json_t *value;
    bool first = in_list;

    json_object_foreach((json_t *)json, key, value)
    {
        fprintf(to, "%*s%s:", first ? 1 : indent, first ? " " : "", key);
        first = false;
        yaml_value(value, indent + 2, false, to);
    }
}

static void yaml_list(const json_t *json, int indent, FILE *to)
{
    size_t i;
    json_t *value;

    json_array_foreach(json, i, value)
    {
        fprintf(to, "%*s-", indent, "");
        yaml_value(value, indent + 2, true, to);
    }
}

static void yaml_value(const json_t *json, int indent, bool in_list, FILE *to)
{
    bool object = json_is_object(json) && json_object_size(json);
    bool list = json_is_array(json) && json_array_size(json);

    if (!object && !list) {
        yaml_scalar(json, to);
        return;
    }
    if (!in_list || list)
        fputc('\n', to);
    if (object)
        yaml_object(json, indent, in_list, to);
    else
        yaml_list(json, indent, to);
}

void print_yaml(const json_t *json, FILE *to)
{
    yaml_object(json, 0, false, to);
}
