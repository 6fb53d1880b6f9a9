/* cli/args.c - parse argv into words and flags */
#include "cli/args.h"

#include "base/own.h"
#include "config/setting.h"

/* The rest of argv, not read yet. */
struct cursor {
    char **at, **end;
};

static const struct {
    char letter;
    const char *name;
} short_flags[] = {
    { 'c', "container" }, { 'f', "filename" }, { 'h', "help" },    { 'l', "selector" },
    { 'n', "namespace" }, { 'o', "output" },   { 'V', "version" },
};

/* A flag that is not a setting. */
static const char *const own_flags[] = { "address",
                                         "any-host",
                                         "backend",
                                         "bodies",
                                         "check",
                                         "config",
                                         "container",
                                         "diff",
                                         "domain",
                                         "drain",
                                         "dry-run",
                                         "env",
                                         "env-from",
                                         "filename",
                                         "group",
                                         "har",
                                         "har-limit",
                                         "help",
                                         "level",
                                         "low-ports",
                                         "names",
                                         "now",
                                         "output",
                                         "pod-running-timeout",
                                         "queries",
                                         "raw",
                                         "remove",
                                         "role-name",
                                         "root",
                                         "selector",
                                         "service-account",
                                         "slow",
                                         "status",
                                         "unsafe",
                                         "user",
                                         "version",
                                         "watch",
                                         "with-secrets",
                                         NULL };

/* `commands` has blanks between the names. */
static const struct {
    const char *name, *commands;
    bool value;
} command_flags[] = {
    { "output", "list status explain doctor version tail ca dns", true },
    { "dry-run", "ca dns", false },
    { "level", "rbac", true },
    { "check", "rbac", false },
    { "service-account", "rbac", true },
    { "user", "rbac dns", true },
    { "backend", "dns", true },
    { "domain", "dns", true },
    { "low-ports", "dns", true },
    { "names", "dns", true },
    { "root", "dns", true },
    { "group", "rbac", true },
    { "role-name", "rbac", true },
    { "now", "stop", false },
    { "drain", "stop", false },
    { "diff", "config", false },
    { "raw", "expose", false },
    { "any-host", "expose", false },
    { "remove", "expose", true },
    { "status", "tail", true },
    { "slow", "tail", true },
    { "har", "tail", true },
    { "har-limit", "tail", true },
    { "queries", "tail", false },
    { "bodies", "tail", false },
    { "unsafe", "replay", false },
    { "watch", "status", false },
    { "container", "exec", true },
    { "env", "exec", true },
    { "env-from", "exec", true },
    { "with-secrets", "exec", false },
    { "address", "port-forward", true },
    { "filename", "port-forward", true },
    { "pod-running-timeout", "port-forward", true },
    { "selector", "port-forward", true },
};

static size_t find_command_flag(struct str name)
{
    size_t i = 0;
    while (i < ARRAY_LEN(command_flags) && !str_eq(name, str_of(command_flags[i].name)))
        i++;
    return i;
}

const char *args_owners(const char *name)
{
    size_t i = find_command_flag(str_of(name));
    return i < ARRAY_LEN(command_flags) ? command_flags[i].commands : NULL;
}

const char *args_flag_at(size_t i)
{
    return i < ARRAY_LEN(command_flags) ? command_flags[i].name : NULL;
}

bool args_is_of(const char *name, const char *command)
{
    struct str rest = str_of(args_owners(name));

    while (!str_empty(rest)) {
        struct str one;
        rest = str_cut(rest, ' ', &one);
        if (str_eq(one, str_of(command)))
            return true;
    }
    return false;
}

const char *args_own(const struct args *a, const char *name)
{
    const char *value = NULL;

    for (size_t i = 0; i < a->own_count; i++)
        if (strcmp(a->own[i].name, name) == 0)
            value = a->own[i].value;
    return value;
}

static const char *long_name(char letter)
{
    for (size_t i = 0; i < ARRAY_LEN(short_flags); i++)
        if (short_flags[i].letter == letter)
            return short_flags[i].name;
    return NULL;
}

static const char *nearest_flag(struct str name)
{
    const char *nearest = setting_nearest(name);

    return nearest ? nearest : nearest_name(name, own_flags);
}

static enum err unknown(struct str flag, struct str name, struct diag *why)
{
    const char *nearest = nearest_flag(name);

    if (nearest)
        return diag_set(why, ERR_CONFIG, "unknown flag %.*s; is it --%s?", STR_ARG(flag),
                        nearest);
    return diag_set(why, ERR_CONFIG, "unknown flag %.*s", STR_ARG(flag));
}

/* The value after "=", else the next argument, whatever it looks like. */
static enum err take_value(struct cursor *c, const char *name, struct str value,
                           const char **ret, struct diag *why)
{
    if (!value.at && c->at == c->end)
        return diag_set(why, ERR_CONFIG, "--%s needs a value", name);
    *ret = value.at ? value.at : *c->at++;
    return OK;
}

static void add_flag(struct args *a, const char *name, const char *value)
{
    a->flags[a->flag_count++] = (struct config_flag){ name, value };
}

static enum err setting_flag(struct args *a, struct cursor *c, const struct setting *s,
                             struct str value, struct diag *why)
{
    const char *text = "true";

    if (!setting_is_bool(s) || value.at) {
        enum err e = take_value(c, s->name, value, &text, why);
        if (e)
            return e;
    }
    add_flag(a, s->name, text);
    return OK;
}

/* The setting that --no-NAME negates, or NULL. */
static const struct setting *negated(struct str name, struct str value)
{
    const struct setting *s = NULL;

    if (!value.at && str_starts(name, STR("no-")))
        s = setting_find(str_skip(name, 3));
    return s && setting_is_bool(s) ? s : NULL;
}

/* Reads a flag of one command; ERR_NOT_FOUND: no command has it. */
static enum err command_flag(struct args *a, struct cursor *c, struct str name,
                             struct str value, struct diag *why)
{
    size_t i = find_command_flag(name);
    const char *text = "true";

    if (i == ARRAY_LEN(command_flags) || (!command_flags[i].value && value.at))
        return ERR_NOT_FOUND;
    if (command_flags[i].value) {
        enum err e = take_value(c, command_flags[i].name, value, &text, why);
        if (e)
            return e;
    }
    a->own[a->own_count++] = (struct config_flag){ command_flags[i].name, text };
    return OK;
}

/* ERR_NOT_FOUND: no flag has this name. */
static enum err named_flag(struct args *a, struct cursor *c, struct str name,
                           struct str value, struct diag *why)
{
    const struct setting *s = setting_find(name);

    if (s)
        return setting_flag(a, c, s, value, why);
    s = negated(name, value);
    if (s)
        add_flag(a, s->name, "false");
    else if (str_eq(name, STR("config")))
        return take_value(c, "config", value, &a->config_file, why);
    else if (str_eq(name, STR("help")) && !value.at)
        a->help = true;
    else if (str_eq(name, STR("version")) && !value.at)
        a->version = true;
    else
        return command_flag(a, c, name, value, why);
    return OK;
}

static bool takes_value(char letter)
{
    return letter == 'c' || letter == 'f' || letter == 'l' || letter == 'n' ||
           letter == 'o';
}

/* "namespce" is a misspelt --namespace; "oname" is -o with the value "name". */
static bool looks_like_long(struct str name)
{
    const char *nearest = nearest_flag(name);
    return nearest && nearest[0] == name.at[0];
}

/* -n shop, -n=shop and -nshop, unless that looks like a misspelt -namespace. */
static enum err short_flag(struct args *a, struct cursor *c, struct str flag,
                           struct str name, struct str value, struct diag *why)
{
    const char *full = str_empty(name) ? NULL : long_name(name.at[0]);

    if (!full || (name.len > 1 && (!takes_value(name.at[0]) || looks_like_long(name))))
        return unknown(flag, name, why);
    if (name.len > 1)
        value = str_skip(name, 1);
    return named_flag(a, c, str_of(full), value, why);
}

static enum err flag_parse(struct args *a, struct cursor *c, struct str flag,
                           struct diag *why)
{
    bool two_dashes = str_starts(flag, STR("--"));
    struct str value = str_cut(flag, '=', &flag);
    struct str name = str_skip(flag, two_dashes ? 2 : 1);

    enum err e = named_flag(a, c, name, value, why);
    if (e != ERR_NOT_FOUND)
        return e;
    return two_dashes ? unknown(flag, name, why)
                      : short_flag(a, c, flag, name, value, why);
}

enum err args_parse(struct args *a, int argc, char **argv, struct diag *why)
{
    struct cursor c = { argv + (argc > 0), argv + argc };
    bool only_words = false;

    *a = (struct args){
        .words = xcalloc((size_t)argc + 1, sizeof(*a->words)),
        .flags = xcalloc((size_t)argc + 1, sizeof(*a->flags)),
        .own = xcalloc((size_t)argc + 1, sizeof(*a->own)),
    };
    while (c.at < c.end) {
        const char *arg = *c.at++;
        enum err e = OK;
        if (only_words || arg[0] != '-' || !arg[1])
            a->words[a->word_count++] = arg;
        else if (strcmp(arg, "--") == 0)
            only_words = true;
        else
            e = flag_parse(a, &c, str_of(arg), why);
        if (e)
            return e;
    }
    return OK;
}

void args_finish(struct args *a)
{
    free(a->words);
    free(a->flags);
    free(a->own);
    *a = (struct args){ 0 };
}

bool args_takes_value(struct str name)
{
    size_t i = find_command_flag(name);

    if (name.len == 1)
        return takes_value(name.at[0]);
    return str_eq(name, STR("config")) ||
           (i < ARRAY_LEN(command_flags) && command_flags[i].value);
}
