/* cli/rbac.c - kube-tunnel rbac: prints the smallest role, or checks which rights are
 * missing */
#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "cli/command.h"
#include "config/address.h"
#include "cli/check_rights.h"
#include "rights/role.h"

static void rbac_help(void)
{
    /* clang-format off */
    print_help(
        "Usage: kube-tunnel rbac [--namespace NS]... [--level watch|lookup] [SUBJECT]...\n"
        "       kube-tunnel rbac --check [--namespace NS]... [--level watch|lookup]\n"
        "\n"
        "Print the smallest role that kube-tunnel needs, for kubectl apply -f -.\n"
        "Without --check nothing is sent to the cluster.\n"
        "\n"
        "  -n, --namespace NS         A Role in this namespace instead of a ClusterRole;\n"
        "                             repeatable\n"
        "  --level watch              Services are watched (default)\n"
        "  --level lookup             Services are looked up when a request needs them\n"
        "  --service-account NS:NAME  Bind it to a service account,\n"
        "  --user NAME                a user,\n"
        "  --group NAME               or a group; all three are repeatable\n"
        "  --role-name NAME           Default: kube-tunnel\n"
        "\n"
        "  --check                    Query the API server which of these rights exist:\n"
        "                             exit status 0 when nothing is missing, else 1.\n"
        "                             Without --level only what every request takes\n"
        "                             is needed\n"
        "  --context NAME             Context of the kubeconfig, for --check\n"
        "\n"
        "All settings: kube-tunnel help run.");
    /* clang-format on */
}

struct request {
    struct role role;
    struct str *namespaces; /* with none, the whole cluster is meant */
    size_t namespace_count;
    struct subject *subjects;
};

static void request_finish(struct request *r)
{
    free(r->namespaces);
    free(r->subjects);
}

static int read_level(const struct args *a, enum role_level *ret)
{
    const char *level = args_own(a, "level");

    *ret = ROLE_WATCH;
    if (!level || strcmp(level, "watch") == 0)
        return EXIT_OK;
    *ret = ROLE_LOOKUP;
    if (strcmp(level, "lookup") == 0)
        return EXIT_OK;
    return print_error("--level \"%s\": expected watch or lookup", level);
}

static int read_service_account(const char *text, struct subject *ret)
{
    struct str name = str_cut(str_of(text), ':', &ret->ns);

    ret->name = name;
    if (name.at && is_dns_label(ret->ns) && is_dns_name(name))
        return EXIT_OK;
    return print_error("--service-account \"%s\": expected NAMESPACE:NAME", text);
}

static int read_subject(const struct config_flag *flag, struct subject *ret)
{
    *ret = (struct subject){ SUBJECT_USER, STR(""), str_of(flag->value) };
    if (strcmp(flag->name, "service-account") == 0) {
        ret->kind = SUBJECT_SERVICE_ACCOUNT;
        return read_service_account(flag->value, ret);
    }
    if (strcmp(flag->name, "group") == 0)
        ret->kind = SUBJECT_GROUP;
    return flag->value[0] ? EXIT_OK : print_error("--%s: a name is missing", flag->name);
}

static bool is_subject(const char *flag)
{
    return strcmp(flag, "user") == 0 || strcmp(flag, "group") == 0 ||
           strcmp(flag, "service-account") == 0;
}

static int read_subjects(const struct args *a, struct request *r)
{
    int status = EXIT_OK;

    r->subjects = xcalloc(a->own_count + 1, sizeof(*r->subjects));
    for (size_t i = 0; !status && i < a->own_count; i++)
        if (is_subject(a->own[i].name))
            status = read_subject(&a->own[i], &r->subjects[r->role.subject_count++]);
    r->role.subjects = r->subjects;
    return status;
}

static bool is_listed(const struct request *r, struct str ns)
{
    for (size_t i = 0; i < r->namespace_count; i++)
        if (str_eq(r->namespaces[i], ns))
            return true;
    return false;
}

static void add_namespace(struct request *r, const char *text)
{
    if (!is_listed(r, str_of(text)))
        r->namespaces[r->namespace_count++] = str_of(text);
}

/* The namespaces of flags, else those that are watched, else the one that is served; all
 * were validated with the settings. */
static void read_namespaces(const struct args *a, const struct config *config,
                            struct request *r)
{
    r->namespaces =
        xcalloc(a->flag_count + config->namespaces.count + 1, sizeof(*r->namespaces));
    for (size_t i = 0; i < a->flag_count; i++)
        if (strcmp(a->flags[i].name, "namespace") == 0 && a->flags[i].value[0])
            add_namespace(r, a->flags[i].value);
    if (r->namespace_count)
        return;
    for (size_t i = 0; i < config->namespaces.count; i++)
        add_namespace(r, config->namespaces.at[i]);
    if (!r->namespace_count && config->namespace)
        add_namespace(r, config->namespace);
}

static int read_request(const struct args *a, const struct config *config,
                        struct request *r)
{
    const char *name = args_own(a, "role-name");

    r->role.name = name ? name : ROLE_NAME;
    if (!is_dns_name(str_of(r->role.name)))
        return print_error("--role-name \"%s\": expected letters a-z, digits, \"-\" and "
                           "\".\"",
                           name);
    read_namespaces(a, config, r);
    int status = read_level(a, &r->role.level);
    return status ? status : read_subjects(a, r);
}

static void print_roles(const struct request *r)
{
    struct role role = r->role;

    if (!r->namespace_count)
        role_print(&role, true, stdout);
    for (size_t i = 0; i < r->namespace_count; i++) {
        AUTO_FREE char *ns = str_dup(r->namespaces[i]);
        role.ns = ns;
        if (i)
            puts("---");
        role_print(&role, true, stdout);
    }
}

static int rbac_check(const struct args *a, const struct config *config,
                      const struct request *r)
{
    const struct rights_question question = {
        .level = r->role.level,
        .all_needed = args_own(a, "level") != NULL,
        .namespaces = r->namespaces,
        .namespace_count = r->namespace_count,
    };
    int status = start_log(config);

    if (status)
        return status;
    if (r->role.subject_count)
        return print_error(
            "--check tests the credentials of the kubeconfig: leave out --user, "
            "--group and --service-account");
    if (!config_is_set(config, SETTING_log_level))
        log_set_level(LEVEL_WARN);
    status = check_rights(config, &question);
    log_flush();
    return status;
}

static int rbac(const struct args *a, const char *const *words, size_t word_count)
{
    AUTO(config_unrefp) struct config *config = NULL;
    AUTO(request_finish) struct request r = { 0 };

    int status = refuse_words(words, word_count);
    if (!status)
        status = load_config(a, &config);
    if (!status)
        status = read_request(a, config, &r);
    if (status)
        return status;
    print_warnings(config);
    if (args_own(a, "check"))
        return rbac_check(a, config, &r);
    print_roles(&r);
    return EXIT_OK;
}

const struct command rbac_command = {
    .name = "rbac",
    .argument = "[--check]",
    .summary = "Print the role that kube-tunnel needs, or check rights",
    .help = rbac_help,
    .run = rbac,
};
