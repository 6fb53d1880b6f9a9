#include "playground/cluster.h"

#include "playground/api/kind.h"
#include "playground/endpoints.h"

void cluster_settle(struct cluster *c)
{
    if (!c->faults.stale)
        endpoints_sync(c->store);
    pods_sync(c->pods, c->store);
}

static bool is_one_of(struct str s, const char *const *list)
{
    for (; *list; list++)
        if (str_eq(s, str_of(*list)))
            return true;
    return false;
}

static bool reads(struct str verb, bool watches)
{
    return str_eq(verb, STR("get")) || str_eq(verb, STR("list")) ||
           (watches && str_eq(verb, STR("watch")));
}

static bool watcher_may(struct str verb, struct str resource)
{
    static const char *const seen[] = { "services",   "pods",        "endpointslices",
                                        "namespaces", "deployments", "configmaps",
                                        NULL };
    if (str_eq(resource, STR("pods/portforward")))
        return str_eq(verb, STR("create")) || str_eq(verb, STR("get"));
    return reads(verb, true) && is_one_of(resource, seen);
}

static bool original_may(struct str verb, struct str resource)
{
    static const char *const seen[] = { "services", "pods", NULL };
    if (str_eq(resource, STR("pods/portforward")))
        return str_eq(verb, STR("create"));
    return reads(verb, false) && is_one_of(resource, seen);
}

static struct str group_of(struct str resource)
{
    for (size_t i = 0; i < KINDS; i++)
        if (str_eq(resource, str_of(kinds[i].plural)))
            return str_of(kinds[i].group);
    return STR("");
}

bool cluster_allows(const struct cluster *c, struct str verb, struct str group,
                    struct str resource, struct str ns, struct str name)
{
    if (!str_eq(group, group_of(resource)) || faults_denied(&c->faults, verb, resource))
        return false;
    if (faults_granted(&c->faults, verb, resource, ns, name))
        return true;
    switch (c->rights) {
    case RIGHTS_WATCH:
        return watcher_may(verb, resource);
    case RIGHTS_ORIGINAL:
        return original_may(verb, resource);
    case RIGHTS_NAMESPACE:
        return str_eq(ns, STR(RIGHTS_HOME)) && original_may(verb, resource);
    case RIGHTS_NONE:
        break;
    }
    return false;
}
