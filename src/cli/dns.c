/* cli/dns.c - kube-tunnel dns: names of the cluster in this machine's resolver */
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/own.h"
#include "cli/ask.h"
#include "cli/dns_release.h"
#include "cli/dns_want.h"
#include "cli/status_tables.h"

#define LOCK_WAIT_MS 10000

static void dns_help(void)
{
    print_help(
        "Usage: kube-tunnel dns install|repair [--backend NAME] [--domain DOMAIN]...\n"
        "                       [--low-ports HOW] [--names FILE] [--dry-run]\n"
        "       kube-tunnel dns uninstall [--dry-run]\n"
        "       kube-tunnel dns status [-o json]\n"
        "       kube-tunnel dns release PORT\n"
        "\n"
        "Let programs look up names of the cluster as they do in a pod: this machine's\n"
        "resolver is told to ask kube-tunnel for them.\n"
        "\n"
        "install    Change what the resolver reads; all of it is written down first\n"
        "uninstall  Undo it, also after an interrupted installation\n"
        "repair     Bring what is installed up to date with what is served\n"
        "status     Print what is installed, and what differs\n"
        "release    Close a port at the addresses of all services for a minute, so that\n"
        "           a server of your own can listen on 0.0.0.0\n"
        "\n"
        "      --backend NAME    resolved-delegate, resolved-link, networkmanager,\n"
        "                        dnsmasq, macos, resolv.conf or hosts, instead of the\n"
        "                        one that is found\n"
        "      --domain DOMAIN   Instead of those that are served; repeatable\n"
        "      --low-ports HOW   Also allow ports below 1024: setcap, unit or sysctl\n"
        "      --user NAME       unit: the user that runs kube-tunnel\n"
        "      --names FILE      hosts: its lines, \"ADDRESS NAME...\"\n"
        "      --root DIR        Change the files below DIR instead of those of /\n"
        "      --dry-run         Only print what would be done\n"
        "\n"
        "Exit status: 0; 1 if something failed, or differs from what was installed;\n"
        "77 if this user may not: the command that may is printed.");
}

/* ---- install, repair, uninstall ---- */

static struct resolver_run run_of(const struct args *a, char *root)
{
    return (struct resolver_run){ .machine = { root },
                                  .out = stdout,
                                  .dry = args_own(a, "dry-run") != NULL,
                                  .wait_ms = LOCK_WAIT_MS };
}

static int print_end(const struct args *a, const char *subcommand,
                     const struct resolver_want *w, enum err e, const struct diag *why)
{
    if (!e)
        return EXIT_OK;
    if (e != ERR_ACCESS)
        return print_failure("%s", diag_text(why, e));
    AUTO_FREE char *command = dns_sudo_command(a, subcommand, w);
    print_failure("this user may not change the resolver, and nothing was changed; type: "
                  "%s",
                  command);
    return EXIT_NO_RIGHT;
}

static void print_obstacle(const struct machine *m, const struct texts *domains)
{
    AUTO_FREE char *obstacle = resolver_obstacle(m, domains);

    if (obstacle)
        printf("note: %s\n", obstacle);
}

static int print_installed(const struct args *a, const struct resolver_run *r,
                           const char *subcommand, const struct resolver_want *w,
                           enum err e, const struct diag *why)
{
    if (!e)
        print_obstacle(&r->machine, &w->domains);
    if (!e && strcmp(w->backend, "hosts") == 0)
        puts("note: /etc/hosts has the names of this moment, and no look-up opens their "
             "addresses: run kube-tunnel with --address-idle 0, and kube-tunnel dns "
             "repair "
             "when services were added or removed");
    fflush(stdout);
    return print_end(a, subcommand, w, e, why);
}

static int dns_install(const struct args *a, const struct resolver_run *r)
{
    AUTO(resolver_want_finish) struct resolver_want want = { 0 };
    struct diag why = { "" };
    int status = dns_want_fill(a, &want);

    if (status)
        return status;
    enum err e = resolver_install(r, &want, &why);
    return print_installed(a, r, "install", &want, e, &why);
}

struct fill {
    const struct args *args;
    int status;
};

static enum err fill_repair(void *arg, struct resolver_want *want)
{
    struct fill *f = arg;

    f->status = dns_want_fill(f->args, want);
    return f->status ? ERR_CANCELLED : OK;
}

static int dns_repair(const struct args *a, const struct resolver_run *r)
{
    AUTO(resolver_want_finish) struct resolver_want want = { 0 };
    struct fill fill = { .args = a };
    struct diag why = { "" };
    enum err e = resolver_repair(r, fill_repair, &fill, &want, &why);

    if (fill.status)
        return fill.status;
    if (e == ERR_NOT_CONFIGURED)
        return print_failure("nothing is installed; type: kube-tunnel dns install");
    return print_installed(a, r, "repair", &want, e, &why);
}

static int dns_uninstall(const struct args *a, const struct resolver_run *r)
{
    struct resolver_want none = { 0 };
    struct diag why = { "" };
    enum err e = resolver_uninstall(r, &why);

    fflush(stdout);
    return print_end(a, "uninstall", &none, e, &why);
}

/* ---- status ---- */

static const char *const states[] = { [STEP_BEFORE] = "missing",
                                      [STEP_DONE] = "installed",
                                      [STEP_CHANGED] = "changed",
                                      [STEP_UNKNOWN] = "unknown" };

static json_t *list_of(const struct texts *t)
{
    json_t *list = json_array();

    for (size_t i = 0; i < t->count; i++)
        json_array_append_new(list, json_string(t->at[i]));
    return list;
}

static bool has_text(const struct texts *t, const char *text)
{
    bool has = false;

    for (size_t i = 0; i < t->count; i++)
        has = has || strcmp(t->at[i], text) == 0;
    return has;
}

static void add_problem(json_t *problems, char *text)
{
    if (text)
        json_array_append_new(problems, json_string(text));
    free(text);
}

static json_t *problems_of(const struct args *a, const struct resolver_installed *i)
{
    AUTO(texts_finish) struct texts served = { 0 }, hosts = { 0 };
    json_t *problems = json_array();

    dns_served_domains(a, &served);
    dns_hosts_problems(a, &i->want, &hosts);
    for (size_t n = 0; n < hosts.count; n++)
        add_problem(problems, xstrdup(hosts.at[n]));
    for (size_t n = 0; n < i->count; n++)
        add_problem(problems, xstrdup_or_null(i->parts[n].problem));
    for (size_t n = 0; n < served.count; n++)
        if (!has_text(&i->want.domains, served.at[n]))
            add_problem(problems,
                        xasprintf("%s: is served and not installed: kube-tunnel "
                                  "dns repair",
                                  served.at[n]));
    for (size_t n = 0; served.count && n < i->want.domains.count; n++)
        if (!has_text(&served, i->want.domains.at[n]))
            add_problem(problems,
                        xasprintf("%s: is installed and not served: kube-tunnel "
                                  "dns repair",
                                  i->want.domains.at[n]));
    return problems;
}

/* What may be a reason, if something does not work. */
static json_t *notes_of(const struct machine *m, const struct resolver_installed *i)
{
    json_t *notes = json_array();

    add_problem(notes, resolver_obstacle(m, &i->want.domains));
    if (strcmp(i->want.low_ports, "none") == 0 && !resolver_low_ports_are_open(m))
        add_problem(notes, xstrdup("ports below 1024 are not open to users; kube-tunnel "
                                   "dns repair --low-ports setcap changes that"));
    return notes;
}

static json_t *describe(const struct args *a, const struct machine *m,
                        const struct resolver_installed *i)
{
    json_t *parts = json_array();

    for (size_t n = 0; n < i->count; n++)
        json_array_append_new(parts, json_pack("{s:s, s:s}", "path", i->parts[n].what,
                                               "state", states[i->parts[n].state]));
    return json_pack("{s:b, s:s, s:o, s:o, s:s, s:o, s:o, s:o}", "installed", true,
                     "backend", i->want.backend, "server",
                     json_sprintf("%s:%u", i->want.server, i->want.port), "domains",
                     list_of(&i->want.domains), "lowPorts", i->want.low_ports, "parts",
                     parts, "problems", problems_of(a, i), "notes", notes_of(m, i));
}

static void print_status(const json_t *status)
{
    const json_t *item;
    size_t i;

    if (!json_is_true(json_object_get(status, "installed"))) {
        puts("not installed; kube-tunnel dns install does it");
        print_closed_ports(json_object_get(status, "closedPorts"), stdout);
        return;
    }
    printf("backend    %s\nserver     %s\nlow ports  %s\ndomains   ",
           text_of(status, "backend"), text_of(status, "server"),
           text_of(status, "lowPorts"));
    json_array_foreach(json_object_get(status, "domains"), i, item)
        printf(" %s", json_string_value(item));
    puts("");
    json_array_foreach(json_object_get(status, "parts"), i, item)
        printf("%-10s %s\n", text_of(item, "state"), text_of(item, "path"));
    json_array_foreach(json_object_get(status, "problems"), i, item)
        printf("problem    %s\n", json_string_value(item));
    json_array_foreach(json_object_get(status, "notes"), i, item)
        printf("note       %s\n", json_string_value(item));
    print_closed_ports(json_object_get(status, "closedPorts"), stdout);
}

static int dns_status(const struct args *a, const struct resolver_run *r)
{
    AUTO(resolver_installed_finish) struct resolver_installed found = { 0 };
    struct diag why = { "" };
    enum err e = resolver_read(&r->machine, &found, &why);

    if (e && e != ERR_NOT_CONFIGURED)
        return print_failure("%s", diag_text(&why, e));
    json_t *status = e ? json_pack("{s:b, s:[]}", "installed", false, "problems")
                       : describe(a, &r->machine, &found);
    json_object_set_new(status, "closedPorts", dns_closed_ports(a));
    if (args_own(a, "output"))
        print_json(status, stdout);
    else
        print_status(status);
    bool differs = json_array_size(json_object_get(status, "problems")) > 0;
    json_decref(status);
    return differs ? EXIT_FAILED : EXIT_OK;
}

/* ---- the command ---- */

static const struct subcommand {
    const char *name;
    int (*run)(const struct args *a, const struct resolver_run *r);
    const char *flags; /* of those of "dns" */
} subcommands[] = {
    { "install", dns_install, "backend domain low-ports user names root dry-run" },
    { "uninstall", dns_uninstall, "root dry-run" },
    { "status", dns_status, "root output" },
    { "repair", dns_repair, "backend domain low-ports user names root dry-run" },
};

static const struct subcommand *find_subcommand(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(subcommands); i++)
        if (strcmp(subcommands[i].name, name) == 0)
            return &subcommands[i];
    return NULL;
}

static bool has_word(const char *words, const char *word)
{
    struct str rest = str_of(words), one;

    while (!str_empty(rest)) {
        rest = str_cut(rest, ' ', &one);
        if (str_eq(one, str_of(word)))
            return true;
    }
    return false;
}

static int check_flags(const struct args *a, const struct subcommand *s)
{
    const char *output = args_own(a, "output");

    for (size_t i = 0; i < a->own_count; i++)
        if (!has_word(s->flags, a->own[i].name))
            return print_error("\"dns %s\" does not take --%s", s->name, a->own[i].name);
    if (output && strcmp(output, "json") != 0)
        return print_error("--output \"%s\": expected json", output);
    return EXIT_OK;
}

/* Without a slash at its end; "" is the machine itself.  EXIT_OK or EXIT_USAGE. */
static int read_root(const struct args *a, char **ret)
{
    const char *root = args_own(a, "root");
    struct stat facts;

    if (root && (root[0] != '/' || stat(root, &facts) || !S_ISDIR(facts.st_mode)))
        return print_error("--root \"%s\": expected a folder, with its path from /",
                           root);
    size_t len = root ? strlen(root) : 0;
    while (len && root[len - 1] == '/')
        len--;
    *ret = xstrndup(root ? root : "", len);
    return EXIT_OK;
}

static int dns_run(const struct args *a, const char *const *words, size_t word_count)
{
    AUTO_FREE char *root = NULL;

    if (!word_count)
        return print_error(
            "dns: the subcommand is missing (install, uninstall, status, repair or "
            "release)");
    if (strcmp(words[0], "release") == 0)
        return dns_release(a, words + 1, word_count - 1);
    const struct subcommand *s = find_subcommand(words[0]);
    if (!s)
        return print_error(
            "dns: unknown subcommand \"%s\" (install, uninstall, status, repair or "
            "release)",
            words[0]);
    int status = refuse_words(words + 1, word_count - 1);
    if (!status)
        status = check_flags(a, s);
    if (!status)
        status = read_root(a, &root);
    if (status)
        return status;
    const struct resolver_run r = run_of(a, root);
    return s->run(a, &r);
}

const struct command dns_command = {
    .name = "dns",
    .argument = "install|...",
    .summary = "Let programs look up names of the cluster",
    .help = dns_help,
    .run = dns_run,
};
