/* rights/role.c - the rights that kube-tunnel needs, and the roles that grant them */
#include "rights/role.h"

#include <stdlib.h>

#include "base/own.h"

#define API "rbac.authorization.k8s.io"

/* Verbs on pods/portforward: a POST (SPDY) needs create; a GET (WebSocket) needs get, and
 * from Kubernetes 1.35 on create, too. */
#define COMMON_RIGHTS                                                                    \
    { "",                                                                                \
      "pods",                                                                            \
      { "get", "list" },                                                                 \
      "their addresses, pods by name, and why none is ready" },                          \
    {                                                                                    \
        "", "pods/portforward", { "get", "create" },                                     \
            "tunnels: create for SPDY, both for WebSockets"                              \
    }

static const struct right lookup_rights[RIGHTS] = {
    { "",
      "services",
      { "get", "list" },
      "services of requests, and for kube-tunnel list" },
    { "discovery.k8s.io", "endpointslices", { "list" }, "their pods and ports" },
    COMMON_RIGHTS,
};

static const struct right watch_rights[RIGHTS] = {
    { "",
      "services",
      { "get", "list", "watch" },
      "services, known before they are requested" },
    { "discovery.k8s.io",
      "endpointslices",
      { "list", "watch" },
      "their pods and ports, as they change" },
    COMMON_RIGHTS,
};

const struct right *role_rights(enum role_level level)
{
    return level == ROLE_WATCH ? watch_rights : lookup_rights;
}

/* --- block style --- */

/* Print a name from the command line as a double-quoted YAML string; its escapes are those of
 * JSON. */
static void print_quoted(struct str s, FILE *to)
{
    fputc('"', to);
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c == '"' || c == '\\')
            fprintf(to, "\\%c", c);
        else if (c < ' ' || c == 0x7f)
            fprintf(to, "\\x%02x", c);
        else
            fputc(c, to);
    }
    fputc('"', to);
}

static void print_verbs(const struct right *r, char quote, FILE *to)
{
    for (size_t i = 0; i < RIGHT_VERBS && r->verbs[i]; i++) {
        fputs(i ? ", " : "", to);
        fputc(quote, to);
        fputs(r->verbs[i], to);
        fputc(quote, to);
    }
}

static void print_rule(const struct right *r, bool explained, FILE *to)
{
    if (explained)
        fprintf(to, "  # %s\n", r->why);
    fprintf(to, "  - apiGroups: [\"%s\"]\n    resources: [\"%s\"]\n    verbs: [",
            r->group, r->resource);
    print_verbs(r, '"', to);
    fputs("]\n", to);
}

static void print_rules(const struct role *role, bool explained, FILE *to)
{
    static const struct right deployments = {
        "apps", "deployments", { "get" }, "names of Deployments"
    };

    fputs("rules:\n", to);
    for (size_t i = 0; i < RIGHTS; i++)
        print_rule(&role_rights(role->level)[i], explained, to);
    if (role->deployments)
        print_rule(&deployments, explained, to);
}

static void print_head(const struct role *role, const char *kind, FILE *to)
{
    fprintf(to, "apiVersion: " API "/v1\nkind: %s%s\nmetadata:\n",
            role->ns ? "" : "Cluster", kind);
}

static void print_namespace(const struct role *role, FILE *to)
{
    if (role->ns)
        fprintf(to, "  namespace: \"%s\"\n", role->ns);
}

/* The name of a binding contains that of its subject, so that applying a binding does not
 * replace that of another subject.  "/" and "%" are not allowed in it. */
static char *binding_name(const struct role *role)
{
    const struct subject *s = &role->subjects[0];
    char *name = xasprintf("%s:%.*s%s%.*s", role->name, STR_ARG(s->ns),
                           str_empty(s->ns) ? "" : ":", STR_ARG(s->name));

    for (char *c = name; *c; c++)
        if (*c == '/' || *c == '%')
            *c = '-';
    return name;
}

static void print_subject(const struct subject *s, FILE *to)
{
    static const char *const kinds[] = {
        [SUBJECT_USER] = "User",
        [SUBJECT_GROUP] = "Group",
        [SUBJECT_SERVICE_ACCOUNT] = "ServiceAccount",
    };

    fprintf(to, "  - kind: %s\n    name: ", kinds[s->kind]);
    print_quoted(s->name, to);
    if (s->kind == SUBJECT_SERVICE_ACCOUNT) {
        fputs("\n    namespace: ", to);
        print_quoted(s->ns, to);
    } else {
        fputs("\n    apiGroup: " API, to);
    }
    fputc('\n', to);
}

static void print_binding(const struct role *role, FILE *to)
{
    AUTO_FREE char *name = binding_name(role);

    fputs("---\n", to);
    print_head(role, "RoleBinding", to);
    fputs("  name: ", to);
    print_quoted(str_of(name), to);
    fputc('\n', to);
    print_namespace(role, to);
    fprintf(to,
            "roleRef:\n  apiGroup: " API "\n  kind: %sRole\n  name: \"%s\"\nsubjects:\n",
            role->ns ? "" : "Cluster", role->name);
    for (size_t i = 0; i < role->subject_count; i++)
        print_subject(&role->subjects[i], to);
}

void role_print(const struct role *role, bool explained, FILE *to)
{
    print_head(role, "Role", to);
    fprintf(to, "  name: \"%s\"\n", role->name);
    print_namespace(role, to);
    print_rules(role, explained, to);
    if (role->subject_count)
        print_binding(role, to);
}

char *role_text(const struct role *role)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    if (!to)
        abort(); /* out of memory */
    struct role unbound = *role;
    unbound.subject_count = 0;
    role_print(&unbound, false, to);
    if (fclose(to))
        abort();
    return text;
}

/* --- flow style --- */

/* kubectl parses a document that begins with a brace as JSON, which has no single quotes.  So
 * it begins with a tag. */
static void print_flow(const struct role *role, FILE *to)
{
    const struct right *rights = role_rights(role->level);

    fprintf(to, "!!map {apiVersion: " API "/v1, kind: %sRole, metadata: {name: '%s'",
            role->ns ? "" : "Cluster", role->name);
    if (role->ns)
        fprintf(to, ", namespace: '%s'", role->ns);
    fputs("}, rules: [", to);
    for (size_t i = 0; i < RIGHTS; i++) {
        fprintf(to, "%s{apiGroups: ['%s'], resources: ['%s'], verbs: [", i ? ", " : "",
                rights[i].group, rights[i].resource);
        print_verbs(&rights[i], '\'', to);
        fputs("]}", to);
    }
    fputs("]}", to);
}

char *role_line(const struct role *role)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    if (!to)
        abort(); /* out of memory */
    print_flow(role, to);
    if (fclose(to))
        abort();
    return text;
}
