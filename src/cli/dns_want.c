/* cli/dns_want.c - what kube-tunnel dns is to install */
#include "cli/dns_want.h"

#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/file_write.h"
#include "base/own.h"
#include "cli/dns_names.h"
#include "control/client.h"

#define NAMES_MAX (512 * 1024)

/* ---- domains ---- */

/* Of the running kube-tunnel, owned by the caller; NULL: there is none. */
static json_t *running_status(const struct args *a)
{
    AUTO(config_unrefp) struct config *config = NULL;
    struct control_reply reply = { 0 };

    if (read_config(a, &config, NULL) ||
        control_call(config->name, "GET", "/v1/status", NULL, &reply, NULL))
        return NULL;
    return reply.json;
}

json_t *dns_closed_ports(const struct args *a)
{
    json_t *status = running_status(a);
    json_t *addresses = json_object_get(status, "addresses");
    json_t *problems = json_incref(json_object_get(addresses, "problems"));

    json_decref(status);
    return problems ? problems : json_array();
}

/* What the hosts backend cannot do by itself: nothing of it is looked up, so nothing opens an
 * address, and new names are not added. */
void dns_hosts_problems(const struct args *a, const struct resolver_want *w,
                        struct texts *ret)
{
    json_t *status = running_status(a);
    const json_t *addresses = json_object_get(status, "addresses");
    bool close = json_integer_value(json_object_get(addresses, "idleMs")) > 0;
    bool is_hosts = status && strcmp(w->backend, "hosts") == 0;
    AUTO_FREE char *names = is_hosts ? dns_known_names(a, &w->domains, NULL) : NULL;

    json_decref(status);
    if (is_hosts && close)
        texts_add(
            ret,
            xstrdup("the running kube-tunnel closes addresses that are not used, and "
                    "no look-up of a name in /etc/hosts opens them again: run it "
                    "with --address-idle 0"));
    if (names && w->names && strcmp(names, w->names) != 0)
        texts_add(ret, xstrdup("the names of the cluster have changed: kube-tunnel dns "
                               "repair"));
}

void dns_served_domains(const struct args *a, struct texts *ret)
{
    json_t *status = running_status(a);
    const json_t *domains = json_object_get(status, "domains");

    for (size_t i = 0; i < json_array_size(domains); i++) {
        const char *domain = json_string_value(json_array_get(domains, i));
        if (domain)
            texts_add(ret, xstrdup(domain));
    }
    json_decref(status);
}

static void flag_domains(const struct args *a, struct texts *ret)
{
    for (size_t i = 0; i < a->own_count; i++)
        if (strcmp(a->own[i].name, "domain") == 0)
            texts_add(ret, xstrdup(a->own[i].value));
}

static void fill_domains(const struct args *a, const struct config *config,
                         struct resolver_want *w)
{
    struct texts found = { 0 };

    flag_domains(a, &found);
    if (!found.count)
        dns_served_domains(a, &found);
    if (!found.count && w->domains.count)
        return;
    if (!found.count) {
        texts_add(&found, xstrdup(config->cluster_domain));
        texts_add(&found, xstrdup("k8s"));
    }
    texts_finish(&w->domains);
    w->domains = found;
}

/* ---- the rest ---- */

static void replace(char **text, const char *with)
{
    if (!with)
        return;
    free(*text);
    *text = xstrdup(with);
}

static void fill_default(char **text, const char *with)
{
    if (!*text)
        *text = xstrdup(with);
}

static void fill_server(const struct config *config, struct resolver_want *w)
{
    if (config->dns_listen.count) {
        const struct listen_address *a = &config->dns_listen.at[0];
        replace(&w->server, strcmp(a->host, "localhost") == 0 ? "127.0.0.1" : a->host);
        w->port = a->port;
    }
    fill_default(&w->server, RESOLVER_SERVER);
    if (!w->port)
        w->port = RESOLVER_PORT;
}

/* The user that ran sudo, if this is root by sudo. */
static char *acting_user(void)
{
    const char *user = getenv("SUDO_USER");
    const struct passwd *entry = user && geteuid() == 0 ? NULL : getpwuid(getuid());

    if (user && geteuid() == 0)
        return xstrdup(user);
    return entry ? xstrdup(entry->pw_name) : NULL;
}

static char *own_program(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    path[n > 0 ? n : 0] = '\0';
    return xstrdup(path);
}

/* The text of a file of names, with blanks made single. */
static int fill_names(const struct args *a, struct resolver_want *w)
{
    const char *path = args_own(a, "names");
    struct diag why = { "" };
    char *text = NULL;
    size_t len;

    if (!path)
        return EXIT_OK;
    enum err e = strcmp(path, "-") == 0 ? file_read_input(NAMES_MAX, &text, &len, &why)
                                        : file_read(path, NAMES_MAX, &text, &len, &why);
    if (e)
        return print_error("--names %s: %s", path, diag_text(&why, e));
    if (strlen(text) != len) {
        free(text);
        return print_error("--names %s: has a NUL byte", path);
    }
    free(w->names);
    w->names = text;
    return EXIT_OK;
}

/* False: only a kube-tunnel that runs can know them, or a journal that has them. */
static bool fill_known_names(const struct args *a, struct resolver_want *w,
                             struct diag *why)
{
    if (args_own(a, "names") || !w->backend || strcmp(w->backend, "hosts") != 0)
        return true;
    char *names = dns_known_names(a, &w->domains, why);
    if (!names)
        return w->names != NULL;
    free(w->names);
    w->names = names;
    return true;
}

int dns_want_fill(const struct args *a, struct resolver_want *w)
{
    AUTO(config_unrefp) struct config *config = NULL;
    struct diag why = { "" };
    int status = load_config(a, &config);

    if (!status)
        status = fill_names(a, w);
    if (status)
        return status;
    fill_server(config, w);
    fill_domains(a, config, w);
    replace(&w->backend, args_own(a, "backend"));
    replace(&w->low_ports, args_own(a, "low-ports"));
    fill_default(&w->low_ports, "none");
    replace(&w->user, args_own(a, "user"));
    if (!w->user)
        w->user = acting_user();
    free(w->program);
    w->program = own_program();
    if (!fill_known_names(a, w, &why))
        return print_error("--names is missing, and %s", diag_text(&why, ERR_NOT_FOUND));
    enum err e = resolver_want_check(w, &why);
    return e ? print_error("%s", diag_text(&why, e)) : EXIT_OK;
}

static char *append(char *text, const char *format, const char *word)
{
    AUTO_FREE char *more = xasprintf(format, word);
    char *longer = xasprintf("%s%s", text, more);

    free(text);
    return longer;
}

/* Root may not ask this user's kube-tunnel, so its names go into a file of this user. */
static char *save_names(const char *names)
{
    const char *folder = getenv("XDG_RUNTIME_DIR");
    char *path =
        folder && folder[0] == '/' ? xasprintf("%s/kube-tunnel-names", folder) : NULL;

    if (path && file_replace(path, str_of(names), 0600, NULL) == OK)
        return path;
    free(path);
    return NULL;
}

char *dns_sudo_command(const struct args *a, const char *subcommand,
                       const struct resolver_want *w)
{
    AUTO_FREE char *program = own_program();
    char *text = xasprintf("sudo '%s' dns %s", program, subcommand);
    bool changes = w->server != NULL;

    for (size_t i = 0; changes && i < w->domains.count; i++)
        text = append(text, " --domain %s", w->domains.at[i]);
    if (changes &&
        (strcmp(w->server, RESOLVER_SERVER) != 0 || w->port != RESOLVER_PORT)) {
        AUTO_FREE char *server = xasprintf("%s:%u", w->server, w->port);
        text = append(text, " --dns-listen %s", server);
    }
    if (changes && w->backend)
        text = append(text, " --backend %s", w->backend);
    if (changes && strcmp(w->low_ports, "none") != 0)
        text = append(text, " --low-ports %s", w->low_ports);
    if (changes && strcmp(w->low_ports, "unit") == 0)
        text = append(text, " --user %s", w->user);
    AUTO_FREE char *saved =
        changes && w->names && !args_own(a, "names") ? save_names(w->names) : NULL;
    const char *names = saved ? saved : args_own(a, "names");
    if (changes && names)
        text = append(text, " --names '%s'", names);
    if (args_own(a, "root"))
        text = append(text, " --root '%s'", args_own(a, "root"));
    return text;
}
