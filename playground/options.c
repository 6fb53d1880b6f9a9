#include "playground/options.h"

#include "base/own.h"

static enum err take_text(const char **to, const char *value)
{
    *to = value;
    return OK;
}

static enum err take_choice(const char *const *choices, const char *value, unsigned *ret)
{
    for (unsigned i = 0; choices[i]; i++)
        if (strcmp(choices[i], value) == 0) {
            *ret = i;
            return OK;
        }
    return ERR_CONFIG;
}

static enum err take_number(const char *value, uint64_t max, uint64_t *ret)
{
    return str_to_uint(str_of(value), max, ret) ? ERR_CONFIG : OK;
}

static enum err set_kubeconfig(struct options *o, const char *v)
{
    return take_text(&o->kubeconfig_out, v);
}

static enum err set_manifest(struct options *o, const char *v)
{
    return take_text(&o->manifest, v);
}

static enum err set_control(struct options *o, const char *v)
{
    return take_text(&o->control, v);
}

static enum err set_direct(struct options *o, const char *v)
{
    return take_text(&o->direct, v);
}

static enum err set_listen(struct options *o, const char *v)
{
    return take_text(&o->listen, v);
}

static enum err set_token(struct options *o, const char *v)
{
    return take_text(&o->token, v);
}

static enum err set_user(struct options *o, const char *v)
{
    return take_text(&o->user, v);
}

static enum err set_log(struct options *o, const char *v)
{
    return take_text(&o->log, v);
}

static enum err set_backend(struct options *o, const char *v)
{
    if (o->backend_count == BACKENDS_MAX)
        return ERR_CONFIG;
    o->backends[o->backend_count++] = v;
    return OK;
}

static enum err set_pods(struct options *o, const char *v)
{
    uint64_t n;
    enum err e = take_number(v, 6000, &n);
    if (!e)
        o->pods = (size_t)n;
    return e;
}

static enum err set_grant(struct options *o, const char *v)
{
    if (o->grant_count == GRANTS_MAX)
        return ERR_CONFIG;
    o->grants[o->grant_count++] = v;
    return OK;
}

static enum err set_roll_pods(struct options *o, const char *v)
{
    uint64_t n;
    enum err e = take_number(v, 10000, &n);
    if (!e)
        o->roll_pods = (size_t)n;
    return e;
}

/* "SERVICES:ENDPOINTS" */
static enum err set_scale(struct options *o, const char *v)
{
    struct str services;
    struct str endpoints = str_cut(str_of(v), ':', &services);
    uint64_t s, n;

    if (str_to_uint(services, 100000, &s) || s == 0 || !endpoints.at ||
        str_to_uint(endpoints, 1000000, &n))
        return ERR_CONFIG;
    o->services = (size_t)s;
    o->endpoints = (size_t)n;
    return OK;
}

static enum err set_rights(struct options *o, const char *v)
{
    static const char *const names[] = { "watch", "original", "namespace", "none", NULL };
    unsigned n;
    enum err e = take_choice(names, v, &n);
    if (!e)
        o->rights = (enum rights)n;
    return e;
}

static enum err set_runtime(struct options *o, const char *v)
{
    static const char *const names[] = { "1.7", "2.1", NULL };
    unsigned n;
    enum err e = take_choice(names, v, &n);
    if (!e)
        o->runtime = (enum runtime)n;
    return e;
}

static enum err set_version(struct options *o, const char *v)
{
    uint64_t n;
    if (strncmp(v, "1.", 2) != 0 || take_number(v + 2, 999, &n))
        return ERR_CONFIG;
    o->minor = (unsigned)n;
    return OK;
}

/* clang-format off */
static const struct option_row {
    const char *name, *argument, *help;
    enum err (*set)(struct options *o, const char *value);
} rows[] = {
    { "--kubeconfig-out", "FILE", "write a kubeconfig that leads here", set_kubeconfig },
    { "--listen", "ADDR:PORT", "of the API server (127.0.0.1:0: any free port)", set_listen },
    { "--manifest", "FILE.json", "objects to add: one, a List, or an array", set_manifest },
    { "--pods", "N", "also a service many/many with N pods", set_pods },
    { "--roll-pods", "N", "also a service roll/roll with N pods, for the command roll",
      set_roll_pods },
    { "--scale", "SERVICES:ENDPOINTS", "also so many in namespaces scale-N, without pods",
      set_scale },
    { "--backend", "APP:PORT=ADDR:PORT", "serve that port of APP's pods there", set_backend },
    { "--direct", "ADDR:PORT", "also serve shop/web's port 8080 there, without a tunnel",
      set_direct },
    { "--control", "PATH", "a Unix socket for commands: curl --unix-socket PATH"
      " -d help http://control/playground", set_control },
    { "--token", "TEXT", "of the user (playground)", set_token },
    { "--user", "NAME", "of the user, in refusals (dev)", set_user },
    { "--rights", "LEVEL", "watch, original, namespace or none (watch)", set_rights },
    { "--grant", "VERB RESOURCE NS NAME", "allow that, too; * is any", set_grant },
    { "--containerd", "VERSION", "behave like 1.7 or 2.1 (1.7)", set_runtime },
    { "--kubernetes", "VERSION", "behave like 1.34, 1.35, ... (1.34)", set_version },
    { "--log", "LEVELS", "error, warn, info, debug (warn)", set_log },
};
/* clang-format on */

void options_help(FILE *to)
{
    fprintf(
        to,
        "Usage: kube-playground [OPTION]...\n"
        "A Kubernetes cluster in one process, to try, test and measure against.\n"
        "Prints \"ready https://ADDRESS\" when it serves, and runs until SIGTERM.\n\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        fprintf(to, "  %-16s %-18s %s\n", rows[i].name, rows[i].argument, rows[i].help);
    fprintf(to, "  %-16s %-18s %s\n", "--help", "", "this text");
}

static const struct option_row *option_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(name, str_of(rows[i].name)))
            return &rows[i];
    return NULL;
}

/* "--name value" or "--name=value". */
static enum err take_option(int argc, char **argv, int *at, struct options *o,
                            struct diag *why)
{
    struct str name;
    const char *value = str_cut(str_of(argv[*at]), '=', &name).at;
    const struct option_row *row = option_find(name);

    if (!row)
        return diag_set(why, ERR_CONFIG, "unknown option: %s (see --help)", argv[*at]);
    if (!value && *at + 1 < argc)
        value = argv[++*at];
    if (!value)
        return diag_set(why, ERR_CONFIG, "%s needs %s", row->name, row->argument);
    if (row->set(o, value))
        return diag_set(why, ERR_CONFIG, "%s: not a %s: \"%s\"", row->name, row->argument,
                        value);
    return OK;
}

enum err options_parse(int argc, char **argv, struct options *ret, struct diag *why)
{
    struct options o = { .listen = "127.0.0.1:0",
                         .token = "playground",
                         .user = "dev",
                         .log = "warn",
                         .minor = 34 };
    enum err e = OK;

    for (int i = 1; i < argc && !e; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            o.help = true;
        else
            e = take_option(argc, argv, &i, &o, why);
    }
    if (!e)
        *ret = o;
    return e;
}
