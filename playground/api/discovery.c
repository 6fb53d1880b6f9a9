/* playground/api/discovery.c - which resources exist, for clients that use discovery */
#include <stdio.h>

#include "playground/api/answer.h"
#include "playground/head.h"

static json_t *group_version(const char *group, const char *version)
{
    char text[64];
    snprintf(text, sizeof(text), "%s/%s", group, version);
    return json_pack("{s:s, s:s}", "groupVersion", text, "version", version);
}

static json_t *group(const char *name)
{
    return json_pack("{s:s, s:[o], s:o}", "name", name, "versions",
                     group_version(name, "v1"), "preferredVersion",
                     group_version(name, "v1"));
}

static json_t *groups(void)
{
    return json_pack("{s:s, s:s, s:[o,o,o]}", "kind", "APIGroupList", "apiVersion", "v1",
                     "groups", group("discovery.k8s.io"), group("apps"),
                     group("authorization.k8s.io"));
}

static json_t *versions(void)
{
    return json_pack("{s:s, s:[s], s:[]}", "kind", "APIVersions", "versions", "v1",
                     "serverAddressByClientCIDRs");
}

static json_t *resource(const struct kind *k)
{
    json_t *r = json_pack("{s:s, s:s, s:b, s:s, s:[s,s,s]}", "name", k->plural,
                          "singularName", k->singular, "namespaced", k->namespaced,
                          "kind", k->name, "verbs", "get", "list", "watch");
    if (k->short_name)
        json_object_set_new(r, "shortNames", json_pack("[s]", k->short_name));
    return r;
}

static json_t *resources(const char *group_name, const char *group_version_text)
{
    json_t *list = json_array();
    for (size_t i = 0; i < KINDS; i++)
        if (str_eq(str_of(kinds[i].group), str_of(group_name)))
            json_array_append_new(list, resource(&kinds[i]));
    if (!*group_name)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:b, s:s, s:[s,s]}", "name", "pods/portforward",
                            "singularName", "", "namespaced", 1, "kind",
                            "PodPortForwardOptions", "verbs", "create", "get"));
    return json_pack("{s:s, s:s, s:s, s:o}", "kind", "APIResourceList", "apiVersion",
                     "v1", "groupVersion", group_version_text, "resources", list);
}

static json_t *review_resources(void)
{
    return json_pack(
        "{s:s, s:s, s:s, s:[{s:s, s:s, s:b, s:s, s:[s]}]}", "kind", "APIResourceList",
        "apiVersion", "v1", "groupVersion", "authorization.k8s.io/v1", "resources",
        "name", "selfsubjectaccessreviews", "singularName", "selfsubjectaccessreview",
        "namespaced", 0, "kind", "SelfSubjectAccessReview", "verbs", "create");
}

static json_t *version(const struct cluster *c)
{
    char minor[16];
    char git[32];
    snprintf(minor, sizeof(minor), "%u", c->minor);
    snprintf(git, sizeof(git), "v1.%u.0-playground", c->minor);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "major", "1", "minor", minor,
                     "gitVersion", git, "gitTreeState", "clean", "goVersion", "none",
                     "platform", "linux/amd64");
}

static json_t *document(const struct cluster *c, struct str path)
{
    if (str_eq(path, STR("/version")))
        return version(c);
    if (str_eq(path, STR("/api")))
        return versions();
    if (str_eq(path, STR("/apis")))
        return groups();
    if (str_eq(path, STR("/api/v1")))
        return resources("", "v1");
    if (str_eq(path, STR("/apis/discovery.k8s.io")))
        return group("discovery.k8s.io");
    if (str_eq(path, STR("/apis/discovery.k8s.io/v1")))
        return resources("discovery.k8s.io", "discovery.k8s.io/v1");
    if (str_eq(path, STR("/apis/apps/v1")))
        return resources("apps", "apps/v1");
    if (str_eq(path, STR("/apis/authorization.k8s.io/v1")))
        return review_resources();
    return NULL;
}

static bool is_health(struct str path)
{
    return str_eq(path, STR("/healthz")) || str_eq(path, STR("/readyz")) ||
           str_eq(path, STR("/livez"));
}

bool respond_discovery(struct cluster *c, const struct call *call, struct answer *a)
{
    struct str path = target_path(call->head->target);
    if (is_health(path)) {
        a->status = 200;
        a->content_type = "text/plain; charset=utf-8";
        text_add(&a->body, STR("ok"));
        return true;
    }
    json_t *tree = document(c, path);
    if (tree)
        answer_json(a, 200, tree);
    return tree != NULL;
}
