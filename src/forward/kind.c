/* forward/kind.c - the kinds of objects that lead to pods */
#include "forward/spec.h"

#define CORE ""

static const struct {
    const char *name, *names; /* names: all, the plural first, separated by blanks */
    const char *group;
} kinds[] = {
    [FORWARD_POD] = { "pod", "pods pod po", CORE },
    [FORWARD_SERVICE] = { "service", "services service svc", CORE },
    [FORWARD_CONTROLLER] = { "replicationcontroller",
                             "replicationcontrollers replicationcontroller rc", CORE },
    [FORWARD_DEPLOYMENT] = { "deployment", "deployments deployment deploy", "apps" },
    [FORWARD_REPLICASET] = { "replicaset", "replicasets replicaset rs", "apps" },
    [FORWARD_STATEFULSET] = { "statefulset", "statefulsets statefulset sts", "apps" },
    [FORWARD_DAEMONSET] = { "daemonset", "daemonsets daemonset ds", "apps" },
    [FORWARD_JOB] = { "job", "jobs job", "batch" },
};

const char *forward_kind_name(enum forward_kind kind)
{
    return kind == FORWARD_SELECTOR ? "selector" : kinds[kind].name;
}

const char *forward_kind_at(size_t i)
{
    return i < ARRAY_LEN(kinds) ? kinds[i].name : NULL;
}

char *forward_kind_path(enum forward_kind kind, const char *ns, const char *name)
{
    enum forward_kind of = kind == FORWARD_SELECTOR ? FORWARD_POD : kind;
    const char *group = kinds[of].group;
    struct str plural;

    str_cut(str_of(kinds[of].names), ' ', &plural);
    return xasprintf("/%s%s/v1/namespaces/%s/%.*s%s%s", *group ? "apis/" : "api", group,
                     ns, STR_ARG(plural), *name ? "/" : "", name);
}

static bool has_name(struct str names, struct str word)
{
    while (!str_empty(names)) {
        struct str one;
        names = str_cut(names, ' ', &one);
        if (str_ieq(one, word))
            return true;
    }
    return false;
}

/* What follows the name: "", "apps", "v1.apps", "v1." of the core. */
static bool is_group(struct str rest, const char *group)
{
    if (rest.len >= 3 && str_starts(rest, STR("v1.")))
        return str_ieq(str_skip(rest, 3), str_of(group));
    return rest.at == NULL || (*group && str_ieq(rest, str_of(group)));
}

bool forward_kind_find(struct str word, enum forward_kind *ret)
{
    struct str name;
    struct str rest = str_cut(word, '.', &name);

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!has_name(str_of(kinds[i].names), name) || !is_group(rest, kinds[i].group))
            continue;
        *ret = (enum forward_kind)i;
        return true;
    }
    return false;
}
