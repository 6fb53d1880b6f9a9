/* exec/nsswitch.c - nsswitch.conf with the hosts file first */
#include "exec/nsswitch.h"

#include <stdio.h>

#include "base/own.h"

/* The next word: a service, or all of "[...]"; empty: there are no more. */
static struct str next_word(struct str *rest)
{
    struct str text = str_trim(*rest);
    size_t len = 0;
    bool in_brackets = text.len && text.at[0] == '[';

    while (len < text.len) {
        char c = text.at[len];
        if (!in_brackets && (c == ' ' || c == '\t' || c == '['))
            break;
        len++;
        if (in_brackets && c == ']')
            break;
    }
    *rest = str_skip(text, len);
    return str_first(text, len);
}

static bool is_minimal_mdns(struct str service)
{
    return str_starts(service, STR("mdns")) && str_ends(service, STR("_minimal"));
}

static void put_rule(struct str services, FILE *out)
{
    struct str word;
    bool keeps = false; /* the conditions that come next */

    fputs("hosts: files", out);
    while (!str_empty(word = next_word(&services))) {
        bool condition = word.at[0] == '[';
        bool files = str_eq(word, STR("files"));
        if (condition ? keeps : !files)
            fprintf(out, " %.*s", STR_ARG(word));
        if (!condition)
            keeps = !files && !is_minimal_mdns(word);
    }
    fputc('\n', out);
}

/* False: the line is no rule for hosts. */
static bool read_rule(struct str line, struct str *ret_services)
{
    struct str database;

    str_cut(line, '#', &line);
    *ret_services = str_cut(line, ':', &database);
    return ret_services->at && str_eq(str_trim(database), STR("hosts"));
}

char *nsswitch_derive(struct str text)
{
    char *derived = NULL;
    size_t len = 0;
    bool found = false;
    FILE *out = open_memstream(&derived, &len);

    if (!out)
        abort();
    while (!str_empty(text)) {
        struct str line, services;
        text = str_cut(text, '\n', &line);
        if (read_rule(line, &services)) {
            put_rule(services, out);
            found = true;
        } else {
            fprintf(out, "%.*s\n", STR_ARG(line));
        }
    }
    if (!found)
        fputs("hosts: files dns\n", out);
    if (fclose(out))
        abort();
    return derived;
}
