/* cli/ca.c - kube-tunnel ca: install, export, remove and status */
#include <jansson.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/file_write.h"
#include "base/own.h"
#include "ca/folder.h"
#include "cli/ca_trust.h"
#include "cli/command.h"

static void ca_help(void)
{
    print_help(
        "Usage: kube-tunnel ca install|remove [--dry-run]\n"
        "       kube-tunnel ca export [-o FILE]\n"
        "       kube-tunnel ca status [-o json]\n"
        "\n"
        "The local certificate authority, for https:// URLs of services without TLS.\n"
        "It can sign names of the cluster only.\n"
        "\n"
        "install  Make it if there is none, and let browsers and programs trust it\n"
        "remove   Undo that, and delete its key\n"
        "export   Print its certificate, for programs with a list of their own\n"
        "status   Print where it is trusted, and until when\n"
        "\n"
        "  -o, --output    export: a file; status: json\n"
        "      --dry-run   Only print what would be done\n"
        "\n"
        "Exit status: 0; 1 if something remains to be done, by a command that is "
        "printed.");
}

static void files_finish(struct ca_files *files)
{
    free(files->folder);
    texts_finish(&files->domains);
}

static bool has_domain(const struct texts *domains, const char *domain)
{
    for (size_t i = 0; i < domains->count; i++)
        if (strcmp(domains->at[i], domain) == 0)
            return true;
    return false;
}

/* The configured domain is made, too, where it was set, or there is no other one. */
static void add_configured(const struct config *config, struct texts *domains)
{
    bool wanted = !domains->count || config_is_set(config, SETTING_cluster_domain);

    if (wanted && !has_domain(domains, config->cluster_domain))
        texts_add(domains, xstrdup(config->cluster_domain));
}

/* ---- export ---- */

static int write_out(const char *path, const char *text)
{
    struct diag why = { "" };

    if (!path) {
        fputs(text, stdout);
        return EXIT_OK;
    }
    enum err e = file_replace(path, str_of(text), 0644, &why);
    if (!e)
        return EXIT_OK;
    print_error("%s", diag_text(&why, e));
    return EXIT_FAILED;
}

static int ca_export(const struct ca_files *files, const char *path)
{
    AUTO_FREE char *all = xstrdup("");

    for (size_t i = 0; i < files->domains.count; i++) {
        AUTO(ca_certificate_finish) struct ca_certificate c = { 0 };
        struct diag why = { "" };
        enum err e = ca_certificate_read(files, files->domains.at[i], true, &c, &why);
        if (e) {
            print_error("%s", diag_text(&why, e));
            return EXIT_FAILED;
        }
        char *more = xasprintf("%s%s", all, c.pem);
        free(all);
        all = more;
    }
    return write_out(path, all);
}

/* ---- status ---- */

static json_t *describe_store(const struct store *s, const struct ca_certificate *c)
{
    const struct trusted t = ca_trusted(c);
    struct diag why = { "" };
    bool usable = store_is_usable(s, &why);

    return json_pack("{s:s, s:s, s:o, s:s*}", "path", s->path, "usedBy", s->users,
                     "trusted", usable ? json_boolean(store_has(s, &t)) : json_null(),
                     "problem", usable ? NULL : why.text);
}

static json_t *describe(const struct ca_files *files, const char *domain,
                        const struct stores *stores)
{
    AUTO(ca_certificate_finish) struct ca_certificate c = { 0 };
    struct diag why = { "" };
    enum err e = ca_certificate_read(files, domain, false, &c, &why);
    json_t *list = json_array();
    char expiry[32] = "";

    if (e) {
        json_decref(list);
        return json_pack("{s:s, s:s}", "domain", domain, "problem", diag_text(&why, e));
    }
    time_t end = (time_t)c.expiry;
    strftime(expiry, sizeof(expiry), "%Y-%m-%dT%H:%M:%SZ", gmtime(&end));
    for (size_t i = 0; i < stores->count; i++)
        json_array_append_new(list, describe_store(&stores->at[i], &c));
    return json_pack("{s:s, s:[s,s,s,s], s:s, s:s, s:s, s:o}", "domain", domain, "names",
                     domain, "localhost", "svc", "k8s", "fingerprint", c.fingerprint,
                     "expires", expiry, "certificate", c.file, "stores", list);
}

static const char *field(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static void print_one(const json_t *ca)
{
    const json_t *names = json_object_get(ca, "names"), *store;
    size_t i;

    printf("local CA of %s", field(ca, "domain"));
    if (!names) {
        printf(": %s\n", field(ca, "problem"));
        return;
    }
    printf("\n  certificate  %s\n  fingerprint  %s\n  expires      %s\n  names        ",
           field(ca, "certificate"), field(ca, "fingerprint"), field(ca, "expires"));
    for (i = 0; i < json_array_size(names); i++)
        printf("%s*.%s", i ? ", " : "", json_string_value(json_array_get(names, i)));
    puts("");
    json_array_foreach(json_object_get(ca, "stores"), i, store)
    {
        const json_t *trusted = json_object_get(store, "trusted");
        printf("  %-11s  %s (%s)%s%s\n",
               json_is_null(trusted)   ? "unknown"
               : json_is_true(trusted) ? "trusted"
                                       : "not trusted",
               field(store, "path"), field(store, "usedBy"),
               *field(store, "problem") ? ": " : "", field(store, "problem"));
    }
}

static int ca_status(const struct ca_files *files, bool json)
{
    AUTO(stores_finish) struct stores stores;
    json_t *all = json_array();

    stores_find(&stores);
    for (size_t i = 0; i < files->domains.count; i++)
        json_array_append_new(all, describe(files, files->domains.at[i], &stores));
    if (json) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        puts("");
    } else if (!json_array_size(all)) {
        puts("there is no local CA; kube-tunnel ca install makes one");
    }
    for (size_t i = 0; !json && i < json_array_size(all); i++)
        print_one(json_array_get(all, i));
    json_decref(all);
    return EXIT_OK;
}

/* ---- the command ---- */

enum action { CA_INSTALL, CA_REMOVE, CA_EXPORT, CA_STATUS, CA_ACTIONS };

static const char *const actions[] = { "install", "remove", "export", "status" };

static int check_flags(const struct args *a, enum action action)
{
    const char *output = args_own(a, "output");

    if (args_own(a, "dry-run") && action != CA_INSTALL && action != CA_REMOVE)
        return print_error("only \"ca install\" and \"ca remove\" take --dry-run");
    if (output && action != CA_EXPORT && action != CA_STATUS)
        return print_error("only \"ca export\" and \"ca status\" take --output");
    if (output && action == CA_STATUS && strcmp(output, "json") != 0)
        return print_error("--output \"%s\": expected json", output);
    return EXIT_OK;
}

/* Root's CA is not the one that the user's kube-tunnel uses. */
static bool is_by_sudo(void)
{
    const char *user = getenv("SUDO_UID");

    return geteuid() == 0 && user && strcmp(user, "0") != 0;
}

static int act(const struct args *a, enum action action, const struct config *config)
{
    AUTO(files_finish) struct ca_files files = { .folder = ca_folder_path() };
    bool dry = args_own(a, "dry-run") != NULL;

    if (is_by_sudo())
        return print_error("ca: run it without sudo, as the user that runs kube-tunnel: "
                           "what needs root is printed as a command");
    if (!files.folder)
        return print_error("neither XDG_DATA_HOME nor HOME is set");
    ca_folder_list(files.folder, &files.domains);
    if (action == CA_INSTALL || action == CA_EXPORT)
        add_configured(config, &files.domains);
    switch (action) {
    case CA_INSTALL:
        return ca_install(&files, dry);
    case CA_REMOVE:
        return ca_remove(&files, dry);
    case CA_EXPORT:
        return ca_export(&files, args_own(a, "output"));
    default:
        return ca_status(&files, args_own(a, "output") != NULL);
    }
}

static int ca_run(const struct args *a, const char *const *words, size_t word_count)
{
    AUTO(config_unrefp) struct config *config = NULL;
    enum action action = 0;

    if (!word_count)
        return print_error("ca: the subcommand is missing (install, remove, export or "
                           "status)");
    while (action < CA_ACTIONS && strcmp(words[0], actions[action]) != 0)
        action++;
    if (action == CA_ACTIONS)
        return print_error("ca: unknown subcommand \"%s\" (install, remove, export or "
                           "status)",
                           words[0]);
    int status = refuse_words(words + 1, word_count - 1);
    if (!status)
        status = check_flags(a, action);
    if (!status)
        status = load_config(a, &config);
    return status ? status : act(a, action, config);
}

const struct command ca_command = {
    .name = "ca",
    .argument = "install|...",
    .summary = "Let browsers trust https:// URLs of services without TLS",
    .help = ca_help,
    .run = ca_run,
};
